"""The server starts with its first user, is shared, and ends with its last."""

from __future__ import annotations

import os
import re
import signal
import time

import psycopg
import pytest

from tests.harness.wait import until
from tests.local.project import USE, Project, query


def test_data_survive_a_restart(project: Project) -> None:
    """What was committed is there after stop and start, at the same URL."""
    project.onetrip("local", "start")
    url = project.url
    query(url, "CREATE TABLE kept AS SELECT 42 AS answer")
    assert project.onetrip("local", "stop").returncode == 0
    project.onetrip("local", "start")
    assert project.url == url
    assert query(url, "SELECT answer FROM kept") == 42


def test_two_processes_share_one_server_and_the_last_one_ends_it(project: Project) -> None:
    """The second process gets the first one's server, and it outlives the first process but not the second."""
    first, url = project.user()
    second, same = project.user()
    assert url == same
    server = project.postmaster()
    assert server is not None
    assert "started PostgreSQL 18" in project.leave(first)
    assert query(url, "SELECT 1") == 1
    assert project.postmaster() == server
    assert "sharing PostgreSQL 18" in project.leave(second)
    until(lambda: project.postmaster() is None, timeout=15, message="the server ends after its last user")
    with pytest.raises(psycopg.OperationalError):
        query(url, "SELECT 1")


def test_a_killed_user_does_not_keep_the_server(user_project: Project) -> None:
    """A user that dies by SIGKILL, without a chance to say goodbye, counts as gone."""
    process, _ = user_project.user()
    process.kill()
    until(lambda: user_project.postmaster() is None, timeout=15, message="the server ends after its user was killed")


def test_tests_have_a_database_of_their_own(user_project: Project) -> None:
    """Another database than development's is made when it is first asked for, once."""
    code = "from onetrip.local import ensure_url\nfor _ in 'ab': print(ensure_url(), ensure_url('test'), flush=True)"
    done = user_project.python(code)
    assert re.findall(r"/(\w+)\b", done.stdout.replace("//", "")) == ["app", "test"] * 2, done.stderr


def test_simultaneous_first_users_get_one_server(new_user_project: Project) -> None:
    """Four processes that start at once on an empty folder end up on one server, and all of them can use it."""
    code = (
        "import multiprocessing\nfrom onetrip.local import LocalServer, ensure_url\n"
        "def use(_):\n    ensure_url()\n    return LocalServer().status().pid\n"
        "with multiprocessing.get_context('fork').Pool(4) as pool:\n"
        "    print(len(set(pool.map(use, range(4), chunksize=1))))"
    )
    done = new_user_project.python(code)
    assert done.stdout == "1\n", done.stderr


def test_stop_ends_the_server_under_its_users(user_project: Project) -> None:
    """`stop` does not wait for users; one of them that asks again gets a new server."""
    process, url = user_project.user(
        "import sys\nfrom onetrip.local import ensure_url\nprint(ensure_url(), flush=True)\n"
        "for line in sys.stdin: print(ensure_url(), flush=True)"
    )
    assert user_project.onetrip("local", "stop").returncode == 0
    assert user_project.postmaster() is None
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("again\n")
    process.stdin.flush()
    assert process.stdout.readline().strip() == url
    assert query(url, "SELECT 1") == 1


def test_a_started_server_outlives_its_users(user_project: Project) -> None:
    """`onetrip local start` pins the server, also one that runs already, until `stop`."""
    process, url = user_project.user()
    assert "already running" in user_project.onetrip("local", "start").stdout
    user_project.leave(process)
    assert query(url, "SELECT 1") == 1
    assert user_project.status()["pinned"]
    user_project.onetrip("local", "stop")
    # A pin does not outlive its server: the next one, started by a user, ends with that user.
    process, _ = user_project.user()
    assert not user_project.status()["pinned"]


def test_ctrl_c_in_the_application_does_not_reach_the_server(user_project: Project) -> None:
    """SIGINT to the first user's whole process group leaves the server to the others."""
    first, url = user_project.user()
    user_project.user()
    server = user_project.postmaster()
    os.killpg(first.pid, signal.SIGINT)
    first.communicate(timeout=20)
    assert query(url, "SELECT 1") == 1
    assert user_project.postmaster() == server


def test_a_forked_child_goes_on_being_a_user(user_project: Project) -> None:
    """A child made by fork keeps the server after its parent ended, as under a pre-forking web server."""
    code = USE.replace("sys.stdin.read()", "import os; os.fork() and os._exit(0); sys.stdin.read()")
    parent, url = user_project.user(code)
    parent.wait(timeout=20)
    assert query(url, "SELECT 1") == 1
    assert parent.stdin is not None
    parent.stdin.close()
    until(lambda: user_project.postmaster() is None, timeout=15, message="the server ends with the child")


def test_psql_starts_the_server_and_takes_it_along(user_project: Project) -> None:
    """`psql` needs no server to be there, and the one it started ends with it."""
    done = user_project.onetrip("local", "psql", "-Atc", "SELECT current_user, current_database()")
    assert done.stdout == "onetrip|app\n", done.stderr
    until(lambda: user_project.postmaster() is None, timeout=15, message="the server ends with psql")


def test_starting_is_quick(new_project: Project) -> None:
    """The first start takes less than 3 s, a later one less than 1 s; both are printed."""
    took = []
    for _ in range(2):
        since = time.monotonic()
        assert new_project.onetrip("local", "start").returncode == 0
        took.append(time.monotonic() - since)
        new_project.onetrip("local", "stop")
    print(f"first start {took[0]:.2f} s, later {took[1]:.2f} s, command line included")
    assert took[0] < 3 * 3, took
    assert took[1] < 1 * 3, took
