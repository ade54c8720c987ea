"""Make the database cluster: a whole one or none, with the application's role and database in it."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import socket
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from onetrip.errors import LocalServerFailed
from onetrip.local._binaries import run
from onetrip.local._say import say

if TYPE_CHECKING:
    from onetrip.local._folder import Folder

SUPERUSER = "postgres"
OWNER = "onetrip"
DATABASE = "app"

_HALF = "data-new-"
# Below the ports that systems lend to outgoing connections, so that the port is still free tomorrow.
_PORTS = range(15432, 25432)
_HBA = """\
# Written by onetrip at every start. Nobody gets in without the generated password.
local  all  all                scram-sha-256
host   all  all  127.0.0.1/32  scram-sha-256
host   all  all  ::1/128       scram-sha-256
"""


@dataclass(frozen=True, slots=True)
class Keys:
    """What a client needs; lives in a file of mode 0600."""

    port: int
    password: str
    superuser_password: str

    def __repr__(self) -> str:
        return f"Keys(port={self.port})"


def read_keys(folder: Folder) -> Keys | None:
    """Return port and passwords, or None if there are none that can be read as such."""
    try:
        return Keys(**json.loads(folder.keys.read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def ready_cluster(folder: Folder, programs: Path, alive: int) -> Keys:
    """Return the keys of a whole cluster with a port that is free now, after making or repairing what is not there.

    The caller holds the lock `alive` by the descriptor *alive*, so that no initdb of a killed start is at work either.
    """
    _sweep(folder)
    keys = read_keys(folder)
    lost = keys is None
    keys = keys or Keys(_free_port(folder), secrets.token_urlsafe(24), secrets.token_urlsafe(24))
    if not _port_is_free(keys.port):
        taken, keys = keys.port, replace(keys, port=_free_port(folder))
        say(f"port {taken} is taken by another program; the local server moves to {keys.port}")
    # The passwords are on disk before they are in the cluster: a crash between the two costs nothing.
    _write(folder, folder.keys, json.dumps(asdict(keys)), 0o600)
    if not folder.data.exists():
        _create(folder, programs, keys, alive)
    elif lost:
        _single_user(folder, programs, folder.data, _passwords(keys), alive)
        say(f"{folder.keys.name} was missing or unreadable; the local server has new passwords")
    _write(folder, folder.hba, _HBA, 0o640)
    return keys


def _create(folder: Folder, programs: Path, keys: Keys, alive: int) -> None:
    half = Path(tempfile.mkdtemp(prefix=_HALF, dir=folder.path))
    folder.give(half, 0o700)
    # "reject" until our own rules stand: there is no moment in which "trust" would let somebody in.
    options = [
        "--auth=reject",
        "--encoding=UTF8",
        "--locale=C",
        "--locale-provider=builtin",
        "--builtin-locale=C.UTF-8",
    ]
    settings = ["--set=timezone=UTC", "--set=log_timezone=UTC"]
    made = run(
        [programs / "initdb", f"--pgdata={half}", f"--username={SUPERUSER}", "--no-instructions", *options, *settings],
        folder.account,
        holding=(alive,),
    )
    if made.returncode:
        raise LocalServerFailed(f"initdb could not make a database in {folder.path}: {last_words(made.stdout)}")
    _single_user(
        folder,
        programs,
        half,
        f"CREATE ROLE {OWNER} LOGIN CREATEDB CREATEROLE;\nCREATE DATABASE {DATABASE} OWNER {OWNER};\n"
        + _passwords(keys),
        alive,
    )
    half.rename(folder.data)


def _passwords(keys: Keys) -> str:
    of = {SUPERUSER: keys.superuser_password, OWNER: keys.password}
    return "".join(f"ALTER ROLE {role} PASSWORD '{password}';\n" for role, password in of.items())


def _single_user(folder: Folder, programs: Path, data: Path, sql: str, alive: int) -> None:
    """Run SQL without a server, one statement a line; the output does not repeat a failing one, it holds passwords."""
    settings = ["exit_on_error=on", "log_min_error_statement=panic", "password_encryption=scram-sha-256"]
    options = [part for setting in settings for part in ("-c", setting)]
    said = run(
        [programs / "postgres", "--single", "-D", data, *options, SUPERUSER],
        folder.account,
        stdin=sql,
        holding=(alive,),
    )
    if said.returncode:
        raise LocalServerFailed(f"the database in {folder.path} could not be set up: {last_words(said.stdout)}")


def _sweep(folder: Folder) -> None:
    """Clear away what an interrupted start left; what may hold data is moved aside, never deleted."""
    for half in folder.path.glob(f"{_HALF}*"):
        shutil.rmtree(half)
        say(f"removed {half.name}: an earlier start was interrupted before its database was whole")
    if folder.data.exists() and not (folder.data / "global" / "pg_control").exists():
        aside = folder.path / f"data-broken-{time.strftime('%Y%m%d-%H%M%S')}"
        folder.data.rename(aside)
        say(
            f"the database in {folder.path} is not whole (no global/pg_control): "
            f"moved to {aside.name}, a new one is made"
        )


def _free_port(folder: Folder) -> int:
    first = int(folder.mark, 16) % len(_PORTS)
    for step in range(100):
        port = _PORTS[(first + step) % len(_PORTS)]
        if _port_is_free(port):
            return port
    raise LocalServerFailed(f"none of 100 ports from {_PORTS[first]} on is free on 127.0.0.1")


def _port_is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _write(folder: Folder, path: Path, text: str, mode: int) -> None:
    """Replace a file as a whole, with its permissions set before its content is there."""
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        if folder.account.borrowed and mode & 0o040:
            os.fchown(descriptor, 0, folder.account.gid)
        os.fchmod(descriptor, mode)
        file.write(text)
        file.flush()
        os.fsync(descriptor)
    new.replace(path)


def last_words(text: str) -> str:
    """Return the last lines of a server's output, without time stamps and what says no more than that it ended."""
    lines = [re.sub(r"^\S+ \S+ UTC \[\d+\] ", "", line).strip() for line in text.splitlines()]
    telling = [line for line in lines if line and "database system is shut down" not in line]
    return "; ".join(telling[-3:]) or "it said nothing"
