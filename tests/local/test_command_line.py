"""`onetrip local` says what it did, in words and exit codes that scripts can rely on."""

from __future__ import annotations

import os
from pathlib import Path

import psycopg
import pytest

from tests.local.project import Project, make_project, query


def test_exit_codes(new_user_project: Project) -> None:
    """0 is fine, 1 is found wrong, 2 is misused; what fails is one line on stderr."""
    assert new_user_project.onetrip("local", "status").returncode == 1
    no_url = new_user_project.onetrip("local", "url")
    assert (no_url.returncode, no_url.stdout) == (1, "")
    assert no_url.stderr.startswith("onetrip: no server is running in ")
    assert no_url.stderr.endswith("→ onetrip local start [local-server]\n")
    assert no_url.stderr.count("\n") == 1
    assert new_user_project.onetrip("local", "stop").returncode == 0
    assert new_user_project.onetrip("local", "start").returncode == 0
    assert new_user_project.onetrip("local", "status").returncode == 0
    for misuse in (["local", "bogus"], ["bogus"], ["local", "status", "--bogus"], ["local", "stop", "extra"]):
        assert new_user_project.onetrip(*misuse).returncode == 2, misuse


def test_looking_creates_nothing(new_user_project: Project) -> None:
    """`status`, `url` and `stop` leave a project without a server as it is."""
    for command in ("status", "url", "stop"):
        new_user_project.onetrip("local", command)
    assert list(new_user_project.folder.iterdir()) == []


def test_url_hides_the_password_unless_asked(served: Project) -> None:
    """`url` is redacted, `url --reveal` is one line to paste, and `--superuser` is another role."""
    hidden = served.onetrip("local", "url")
    port = served.keys["port"]
    assert hidden.stdout == f"postgresql://onetrip:***@127.0.0.1:{port}/app\n"
    assert "--reveal" in hidden.stderr
    revealed = served.onetrip("local", "url", "--reveal")
    assert revealed.stderr == ""
    assert query(revealed.stdout.strip(), "SELECT current_user::text") == "onetrip"
    assert revealed.stdout == f"{served.url}\n"
    assert served.onetrip("local", "url", "--reveal", "--superuser").stdout == f"{served.superuser_url}\n"
    assert query(served.superuser_url, "SELECT current_user::text") == "postgres"


def test_status_for_machines(new_user_project: Project) -> None:
    """`status --json` has the same fields with and without a server."""
    before = new_user_project.status()
    new_user_project.onetrip("local", "start")
    after = new_user_project.status()
    assert list(before) == list(after)
    assert (before["running"], after["running"], after["pinned"], after["version"]) == (False, True, True, "18")
    assert after["pid"] == new_user_project.postmaster()
    assert after["size"] > 20_000_000


def test_psql_passes_arguments_through(served: Project) -> None:
    """Options behind `psql` are psql's; its exit code is ours; PG* variables of the shell do not steer it."""
    wrong_way = {"PGHOST": "elsewhere.invalid", "PGPORT": "1", "PGSSLMODE": "require", "PGHOSTADDR": "192.0.2.1"}
    done = served.onetrip("local", "psql", "--superuser", "-At", "-c", "SELECT current_user", **wrong_way)
    assert done.stdout == "postgres\n", done.stderr
    assert served.onetrip("local", "psql", "-v", "ON_ERROR_STOP=1", "-c", "SELECT 1/0").returncode == 1


@pytest.mark.parametrize("name", ["deep/" + "x" * 60 + "/" + "y" * 60, 'it\'s, "odd" ünï code'])
def test_long_and_odd_paths_work(name: str) -> None:
    """A folder whose socket path would exceed 107 bytes, or one with quotes and commas, serves TCP and socket alike."""
    project = make_project("user", name)
    try:
        started = project.onetrip("local", "start")
        assert started.returncode == 0, started.stderr
        status = project.status()
        assert query(project.url, "SELECT 1") == 1
        assert len(os.fsencode(status["socket"])) + len("/.s.PGSQL.65535") <= 107
        with psycopg.connect(
            host=status["socket"], port=status["port"], user="onetrip", password=project.keys["password"], dbname="app"
        ) as by_socket:
            assert by_socket.info.host == status["socket"]
        project.onetrip("local", "stop")
        if not Path(status["socket"]).is_relative_to(status["folder"]):
            assert not Path(status["socket"]).exists()
    finally:
        project.clean()
