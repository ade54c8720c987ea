"""Whatever state a crash left the folder in, the next start makes it good and says so."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import psycopg
import pytest

from tests.harness.wait import until
from tests.local.project import Project, query


def kept(project: Project) -> str:
    """Start a server, commit something, return the URL."""
    started = project.onetrip("local", "start")
    assert started.returncode == 0, started.stderr
    query(project.url, "CREATE TABLE kept AS SELECT 42 AS answer")
    return project.url


def crash(project: Project) -> None:
    """Kill the postmaster the hard way."""
    server = project.postmaster()
    assert server is not None
    os.kill(server, signal.SIGKILL)


def start(project: Project) -> str:
    """Start the server and return what was said about it."""
    done = project.onetrip("local", "start")
    assert done.returncode == 0, done.stderr
    return done.stderr


def test_a_killed_server_recovers(project: Project) -> None:
    """After kill -9 the next start brings back what was committed, and says what happened."""
    url = kept(project)
    crash(project)
    assert "was killed" in start(project)
    assert query(url, "SELECT answer FROM kept") == 42
    assert start(project) == ""


def test_a_stale_pid_file_whose_number_is_in_use_again_is_no_obstacle(project: Project) -> None:
    """Another program with the dead postmaster's number neither stops a start nor is harmed by `stop`."""
    url = kept(project)
    files = [project.data_folder / "data" / "postmaster.pid"]
    socket_lock = Path(project.status()["socket"]) / f".s.PGSQL.{project.status()['port']}.lock"
    texts = [files[0].read_text(), socket_lock.read_text()]
    files.append(socket_lock)
    owner = files[0].stat()
    project.onetrip("local", "stop")
    other = subprocess.Popen(["cat"], stdin=subprocess.PIPE, user=owner.st_uid, group=owner.st_gid)
    try:
        for file, text in zip(files, texts, strict=True):
            file.write_text("\n".join([str(other.pid), *text.splitlines()[1:]]) + "\n")
            os.chown(file, owner.st_uid, owner.st_gid)
        assert "not running" in project.onetrip("local", "stop").stdout
        assert other.poll() is None
        assert "was killed" in start(project)
        assert query(url, "SELECT answer FROM kept") == 42
        assert other.poll() is None
    finally:
        other.communicate()


def test_an_interrupted_first_start_leaves_nothing_in_the_way(new_user_project: Project) -> None:
    """A first start killed in the middle of initdb is cleared away by the next one."""
    project = new_user_project
    starting = subprocess.Popen(
        [project.interpreter, "-c", "from onetrip.local import LocalServer; LocalServer().start()"],
        cwd=project.folder, env=project.environment, stderr=subprocess.DEVNULL, **project.run_as,
    )  # fmt: skip
    home = project.data_folder
    until(lambda: any(home.glob("data-new-*/PG_VERSION")), timeout=15, message="initdb has begun")
    starting.kill()
    starting.wait()
    half = next(home.glob("data-new-*"))
    assert f"removed {half.name}" in start(project)
    assert query(project.url, "SELECT 1") == 1
    assert not half.exists()


def test_a_database_that_is_not_whole_is_moved_aside_not_deleted(user_project: Project) -> None:
    """A data folder without its control file is kept under another name, and a new database is made."""
    kept(user_project)
    user_project.onetrip("local", "stop")
    home = user_project.data_folder
    (home / "data" / "global" / "pg_control").unlink()
    assert "data-broken-" in start(user_project)
    assert query(user_project.url, "SELECT count(*) FROM pg_tables WHERE tablename = 'kept'") == 0
    assert [broken.joinpath("PG_VERSION").read_text() for broken in home.glob("data-broken-*")] == ["18\n"]


@pytest.mark.parametrize("damage", ["{", None])
def test_lost_passwords_are_made_anew(user_project: Project, damage: str | None) -> None:
    """A password file that is gone or unreadable, even after a crash, costs the password and not the data."""
    url = kept(user_project)
    crash(user_project)
    keys = user_project.data_folder / "server.json"
    keys.unlink() if damage is None else keys.write_text(damage)
    assert "new passwords" in start(user_project)
    assert query(user_project.url, "SELECT answer FROM kept") == 42
    assert user_project.url != url


def test_a_taken_port_is_left_to_its_owner(user_project: Project) -> None:
    """If another program listens on our port by now, the server moves, keeps the new port and says so."""
    kept(user_project)
    port = user_project.keys["port"]
    user_project.onetrip("local", "stop")
    with socket.create_server(("127.0.0.1", port)):
        assert f"port {port} is taken" in start(user_project)
        moved = user_project.keys["port"]
        assert moved != port
        assert query(user_project.url, "SELECT answer FROM kept") == 42
        user_project.onetrip("local", "stop")
    start(user_project)
    assert user_project.keys["port"] == moved


def test_a_server_without_its_guard_can_be_used_and_stopped(user_project: Project) -> None:
    """Even the guard may be killed: the server goes on and `stop` ends it."""
    url = kept(user_project)
    server = user_project.postmaster()
    guard = int(Path(f"/proc/{server}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(guard, signal.SIGKILL)
    assert query(url, "SELECT answer FROM kept") == 42
    assert start(user_project) == ""
    assert "stopped" in user_project.onetrip("local", "stop").stdout
    until(lambda: user_project.postmaster() is None, timeout=15, message="the server has ended")


def test_a_server_whose_folder_was_deleted_ends_with_its_users(user_project: Project) -> None:
    """`rm -rf .onetrip` under a running server leaves no process behind, and a new one can start."""
    process, url = user_project.user()
    server = user_project.postmaster()
    assert server is not None
    shutil.rmtree(user_project.data_folder)
    user_project.leave(process)

    def ended() -> bool:
        try:
            query(url, "SELECT 1")
        except psycopg.OperationalError:
            return True
        return False

    until(ended, timeout=15, message="the server without a folder ends")
    assert start(user_project) == ""


def test_a_server_that_cannot_start_says_why(user_project: Project) -> None:
    """A setting that PostgreSQL refuses ends in one line with PostgreSQL's own reason, and frees every lock."""
    kept(user_project)
    user_project.onetrip("local", "stop")
    configuration = user_project.data_folder / "data" / "postgresql.conf"
    good = configuration.read_text()
    configuration.write_text(good + "\nshared_buffers = 'lots'\n")
    failed = user_project.onetrip("local", "start")
    assert failed.returncode == 1
    assert "shared_buffers" in failed.stderr
    assert failed.stderr.count("\n") == 1, failed.stderr
    configuration.write_text(good)
    start(user_project)
