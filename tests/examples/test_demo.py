"""``make demo`` ends in a server that answers, or in one line that says why not."""

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.harness.postgres import Postgres
from tests.harness.wait import until

from .conftest import BACKEND

ENVIRONMENT = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "SEED_USERS": "5", "SEED_TASKS": "7", "PORT": "0"}


class Demo:
    """A running demo and what it has said."""

    def __init__(self, **environment: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-u", BACKEND / "demo.py"],
            env=ENVIRONMENT | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        self.said = ""
        self._reader = threading.Thread(target=self._listen)
        self._reader.start()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said += line

    def serving(self) -> None:
        """Wait until it has said everything there is to say."""
        until(
            lambda: "Ctrl-C ends it" in self.said or self.process.poll() is not None,
            timeout=60,
            message=lambda: self.said,
        )
        assert self.process.poll() is None, self.said

    def ended(self) -> int:
        """Wait for its end and return the exit code."""
        code = self.process.wait(timeout=30)
        self._reader.join()
        return code


@contextmanager
def running(**environment: str) -> Iterator[Demo]:
    """Start a demo and make sure that it ends."""
    demo = Demo(**environment)
    try:
        yield demo
    finally:
        if demo.process.poll() is None:
            demo.process.kill()
        demo.ended()
        assert demo.process.stdout is not None
        demo.process.stdout.close()


def test_the_printed_curl_line_answers_with_tasks(database_url: str) -> None:
    """What is printed works as printed, the page and the documentation, too; a second start seeds nothing twice."""
    with running(DATABASE_URL=database_url) as demo:
        demo.serving()
        assert "seeded 5 users and 35 tasks" in demo.said
        curl, header_flag, header, url = shlex.split(re.findall(r"^curl .*$", demo.said, re.MULTILINE)[0])
        assert (curl, header_flag) == ("curl", "-H")
        name, _, value = header.partition(": ")
        assert len(httpx.get(url, headers={name: value}).json()["items"]) == 3
        for address in re.findall(r"^the (?:page|API) +(\S+)$", demo.said, re.MULTILINE):
            assert httpx.get(address).status_code == 200
        demo.process.send_signal(signal.SIGINT)
        assert demo.ended() == 0
        assert "Traceback" not in demo.said
    with running(DATABASE_URL=database_url) as demo:
        demo.serving()
        assert "nothing added" in demo.said
        demo.process.send_signal(signal.SIGTERM)
        assert demo.ended() == 0


@pytest.fixture
def folder() -> Iterator[Path]:
    """Make a folder for a server; pytest's own are closed to the account that root's server runs under."""
    made = Path(tempfile.mkdtemp(prefix="onetrip-demo-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


def test_ctrl_c_leaves_nothing_running(folder: Path) -> None:
    """Without DATABASE_URL the embedded server comes with the demo, and goes with it."""
    with running(ONETRIP_LOCAL_DIR=str(folder / "server")) as demo:
        demo.serving()
        server = int(re.findall(r"process (\d+)", demo.said)[0])
        os.kill(server, 0)
        demo.process.send_signal(signal.SIGINT)
        assert demo.ended() == 0
    until(lambda: not Path(f"/proc/{server}").exists(), timeout=10, message="the embedded server outlived the demo")


@pytest.mark.parametrize(
    ("environment", "code", "says"),
    [
        ({"DATABASE_URL": "mysql://u:hunter2@h/d"}, 2, "mysql"),
        ({"DATABASE_URL": "postgresql://app:hunter2@127.0.0.1:9/d"}, 1, "127.0.0.1:9"),
        ({"DATABASE_URL": "postgresql://app:hunter2@no.such.invalid/d?sslmode=disable"}, 1, "no.such.invalid"),
        ({"DATABASE_URL": "postgresql://app:hunter2@127.0.0.1/d", "APP_ENV": "prod"}, 2, "TASKS_JWT_SECRET"),
        ({"DATABASE_URL": "postgresql://app:hunter2@127.0.0.1/d", "SEED_USERS": "many"}, 2, "SEED_USERS"),
        (
            {"DATABASE_URL": "postgresql://app:hunter2@127.0.0.1/d", "TASKS_JWT_SECRET": "hunter2"},
            2,
            "TASKS_JWT_SECRET",
        ),
    ],
)
def test_what_is_wrong_is_said_without_a_traceback_and_without_secrets(
    environment: dict[str, str], code: int, says: str
) -> None:
    """One clear message, and an exit code: 2 for a mistake in what was asked for, 1 for what went wrong."""
    with running(**environment) as demo:
        assert demo.ended() == code, demo.said
        assert says in demo.said
        assert "Traceback" not in demo.said
        assert "hunter2" not in demo.said


def test_a_wrong_password_is_said(postgres: Postgres) -> None:
    """The server's refusal arrives as ours, before anything is seeded."""
    with running(DATABASE_URL=postgres.url(password="hunter2")) as demo:
        assert demo.ended() == 1
        assert "authentication-failed" in demo.said
        assert "hunter2" not in demo.said
        assert "Traceback" not in demo.said


def test_a_port_in_use_is_said_before_the_seed(database_url: str) -> None:
    """It names the port and the way out."""
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        running(DATABASE_URL=database_url, PORT=str(taken.getsockname()[1])) as demo,
    ):
        assert demo.ended() == 2
        assert "in use" in demo.said
        assert "seeded" not in demo.said
