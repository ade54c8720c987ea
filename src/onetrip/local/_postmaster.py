"""The running server: which process it is, how it is started, how it is ended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from onetrip.errors import LocalServerFailed
from onetrip.local import _guard, _locks
from onetrip.local._binaries import CLEAN_ENVIRONMENT
from onetrip.local._cluster import last_words
from onetrip.local._say import say

if TYPE_CHECKING:
    from collections.abc import Mapping

    from onetrip.local._folder import Folder

_RECOVERY_SECONDS = 60.0
_FAST_SECONDS = 30.0
_ORPHAN_SECONDS = 10.0


def pid(folder: Folder) -> int | None:
    """Return the process id of this folder's postmaster, or None; another program with that number does not count."""
    number = _pid_file(folder)[:1]
    if not number or not number[0].isdecimal():
        return None
    return int(number[0]) if str(folder.data) in _command_line(int(number[0])) else None


def forget_the_dead(folder: Folder) -> None:
    """Remove what a killed server left behind; the caller holds the lock `alive`, so none of its processes is there.

    PostgreSQL would refuse to start if the process id in one of these files belonged to another program by now.
    """
    stale = folder.data / "postmaster.pid"
    if stale.exists():
        say(f"the server in {folder.path} was killed or the machine went down; PostgreSQL recovers what was committed")
        for left in (stale, *folder.socket.glob(".s.PGSQL.*")):
            left.unlink(missing_ok=True)


def launch(folder: Folder, programs: Path, port: int, alive: int, settings: Mapping[str, str]) -> None:
    """Start the postmaster; it inherits the locked descriptor *alive*, so the lock is held for as long as it lives."""
    folder.give(folder.socket, 0o700)
    if folder.log.exists():
        folder.log.replace(folder.log.with_name("server.log.before"))
    orders = {
        "argv": [str(programs / "postgres"), "-D", str(folder.data), *_options(folder, port, settings)],
        "environment": CLEAN_ENVIRONMENT,
        "run_as": folder.account.run_as,
        "alive": alive,
        "users": str(folder.users),
        "lock": str(folder.lock),
        "pinned": str(folder.pinned),
        "passing": "" if folder.socket.is_relative_to(folder.path) else str(folder.socket),
    }
    log = os.open(folder.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
    try:
        subprocess.run(  # noqa: S603 - our own file, no shell
            [sys.executable, "-I", "-S", _guard.__file__, str(folder.path)],
            input=json.dumps(orders).encode(),
            stdout=log,
            stderr=log,
            pass_fds=[alive],
            cwd="/",
            env=CLEAN_ENVIRONMENT | _what_python_needs(),
            check=True,
        )
    finally:
        os.close(log)


def await_ready(folder: Folder) -> None:
    """Return when the server takes connections; raise LocalServerFailed if it died or needs more than 60 s."""
    give_up = time.monotonic() + _RECOVERY_SECONDS
    while _pid_file(folder)[7:8] != ["ready"]:
        if _locks.is_free(folder.alive):
            raise LocalServerFailed(
                f"the server in {folder.path} did not start: {last_words(folder.log.read_text(errors='replace'))}",
                hint=f"the whole story is in {folder.log}",
            )
        if time.monotonic() >= give_up:
            raise LocalServerFailed(
                f"the server in {folder.path} takes no connections after {_RECOVERY_SECONDS:.0f} s",
                hint=f"a long recovery goes on if you try again; {folder.log} says how far it is",
            )
        time.sleep(0.005)


def end(folder: Folder) -> None:
    """End the server at once but cleanly: clients are hung up on and open transactions rolled back."""
    number = pid(folder)
    if number is not None:
        with suppress(ProcessLookupError):
            os.kill(number, signal.SIGINT)
        if not _locks.is_free(folder.alive, _FAST_SECONDS):
            say(f"the server did not end within {_FAST_SECONDS:.0f} s; it is cut off and recovers at its next start")
            with suppress(ProcessLookupError):
                os.kill(number, signal.SIGQUIT)
    if not _locks.is_free(folder.alive, _ORPHAN_SECONDS):
        raise LocalServerFailed(
            f"processes of the server in {folder.path} are still there", hint=f"see which: fuser {folder.alive}"
        )


def _what_python_needs() -> dict[str, str]:
    """Return the variables without which some builds of Python do not find their own library."""
    return {name: os.environ[name] for name in ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH") if name in os.environ}


def _options(folder: Folder, port: int, settings: Mapping[str, str]) -> list[str]:
    quoted = str(folder.socket).replace('"', '""')
    ours = {
        "listen_addresses": "127.0.0.1",
        "port": str(port),
        "unix_socket_directories": f'"{quoted}"',
        "unix_socket_permissions": "0700",
        "hba_file": str(folder.hba),
        "password_encryption": "scram-sha-256",
    }
    return [part for name, value in {**settings, **ours}.items() for part in ("-c", f"{name}={value}")]


def _pid_file(folder: Folder) -> list[str]:
    try:
        return [line.strip() for line in (folder.data / "postmaster.pid").read_text().splitlines()]
    except FileNotFoundError:
        return []


def _command_line(number: int) -> str:
    """Return how a process was started, or nothing for a dead one; Linux tells it in a file, others through ps."""
    if Path("/proc/self/cmdline").exists():
        try:
            return os.fsdecode(Path(f"/proc/{number}/cmdline").read_bytes()).replace("\0", " ")
        except (FileNotFoundError, ProcessLookupError):
            return ""
    said = subprocess.run(  # noqa: S603 - a number and no shell
        ["/bin/ps", "-ww", "-o", "args=", "-p", str(number)], capture_output=True, text=True, check=False
    )
    return said.stdout
