"""A server process of the tests: as whom it runs, where its log is, who ends it when the test run is killed."""

import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from .wait import until

ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC"}

# Outlives the test run, killed or not: its pipe closes, it stops what still serves, and the folder goes.
GUARD = """
cat >/dev/null
for file in "$1"/*/*.pid "$1"/*/*/*.pid; do
    [ -f "$file" ] && kill -INT "$(head -n 1 "$file")" && sleep 1
done
rm -rf "$1"
"""
_guards: list[subprocess.Popen[bytes]] = []


def identity() -> dict[str, Any]:
    """Return Popen's arguments for another user when we are root: PostgreSQL and PgBouncer refuse to serve as root."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def run(*args: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a command as the servers' user; raise with its output when it fails."""
    done = subprocess.run(
        args, env=ENVIRONMENT, cwd="/", capture_output=True, text=True, check=False, **identity(), **options
    )
    if done.returncode:
        raise RuntimeError(f"{args[0]} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done


def reachable(path: Path) -> bool:
    """Say whether the servers' user may enter or run ``path``: a folder above it may be closed to others."""
    return subprocess.run(["test", "-x", path], check=False, **identity()).returncode == 0


@cache
def run_folder() -> Path:
    """Make the one temporary folder of this test run, and start its guard."""
    for parent in (None, "/tmp"):  # TMPDIR itself may be closed to the servers' user
        folder = Path(tempfile.mkdtemp(prefix="onetrip-tests-", dir=parent))
        folder.chmod(0o711)
        if reachable(folder):
            break
        folder.rmdir()
    else:
        raise RuntimeError("the servers' user can enter no temporary folder; set TMPDIR to one that others may enter")
    _guards.append(
        subprocess.Popen(
            ["sh", "-c", GUARD, "guard", folder],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for pytest, which then stops its servers in order
        )
    )
    return folder


def new_folder(name: str) -> Path:
    """Make a folder that belongs to the servers' user and goes with the test run."""
    folder = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=run_folder()))
    if who := identity():
        os.chown(folder, who["user"], who["group"])
    return folder


def free_port() -> int:
    """Return a free loopback port.

    It lies below the range that the kernel gives to outgoing connections, so that a restarted server finds it free.
    """
    while True:
        port = random.randrange(15_000, 32_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


class ServerProcess:
    """One server with its folder and its log; subclasses say what to run."""

    def __init__(self, name: str) -> None:
        self.folder = new_folder(name)
        self.log = self.folder / "log"
        self.host = "127.0.0.1"
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Return the process id of the running server."""
        assert self._process, f"{type(self).__name__} is not running"
        return self._process.pid

    @property
    def running(self) -> bool:
        """Say whether the process is alive."""
        return self._process is not None and self._process.poll() is None

    def spawn(self, *args: str | Path) -> None:
        """Start the process; its output goes to the log."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                args,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=ENVIRONMENT,
                cwd="/",
                start_new_session=True,
                **identity(),
            )

    def end(self, how: signal.Signals, timeout: float = 10.0) -> None:
        """Send a signal and wait for the end; after ``timeout`` seconds kill the process and fail."""
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return
        process.send_signal(how)
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(
                f"{type(self).__name__} did not end {timeout:g} s after {how.name}:\n{self.tail()}"
            ) from None

    def kill(self) -> None:
        """End the process without a chance to say goodbye."""
        self.end(signal.SIGKILL)

    def log_text(self) -> str:
        """Return the whole log."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def log_contains(self, text: str) -> bool:
        """Say whether the server has logged ``text``."""
        return text in self.log_text()

    def tail(self, lines: int = 30) -> str:
        """Return the last lines of the log, for a failure's message."""
        return "\n".join(self.log_text().splitlines()[-lines:])

    def remove(self) -> None:
        """Delete the folder; the server must have ended."""
        assert not self.running
        shutil.rmtree(self.folder)

    def accepts(self) -> bool:
        """Say whether something listens on the port."""
        with socket.socket() as probe:
            return probe.connect_ex((self.host, self.port)) == 0

    def wait_until_accepting(self, timeout: float = 10.0) -> None:
        """Wait for the port; fail with the log when the process ends first."""
        until(lambda: not self.running or self.accepts(), timeout=timeout, message=self.tail)
        assert self.running, f"{type(self).__name__} ended at start:\n{self.tail()}"
