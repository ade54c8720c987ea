"""Processes that fork, change event loops, are stopped and continued: each goes on with connections of its own."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.contract.face import MODES, Mode
from tests.failures.book import Book
from tests.harness.postgres import Postgres

ROOT = Path(__file__).parents[2]
SYNC = [mode for mode in MODES if mode.colour == "sync"]
ASYNC = [mode for mode in MODES if mode.colour == "async"]


def start(program: str, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    """Start one of our programs; every warning of it is an error."""
    command = [sys.executable, "-W", "error", "-X", "faulthandler", "-m", f"tests.failures.programs.{program}"]
    import os

    return subprocess.Popen(
        [*command, *arguments],
        cwd=ROOT,
        env=os.environ | environment,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def run(program: str, *arguments: str, **environment: str) -> str:
    """Run one of our programs to its end; return what it said."""
    with start(program, *arguments, **environment) as process:
        said, _ = process.communicate(timeout=200)
    assert process.returncode == 0, said
    return said


def check(server: Postgres, database: str, writes: int) -> None:
    """Every write is there, whole and once."""
    book = Book()
    rows = server.scalar("SELECT json_agg(n) FROM written", database=database)
    book.acknowledged = set(rows)
    assert len(book.acknowledged) == writes
    book.check(server, database)


@pytest.mark.parametrize("mode", SYNC, ids=str)
@pytest.mark.parametrize("how", ["os", "exit", "multiprocessing"])
def test_four_children(postgres: Postgres, written: str, mode: Mode, how: str) -> None:
    """Forked while threads work: no wrong row, no hang, and the parent's transaction in progress goes through."""
    assert run("forked", postgres.url(written), mode.driver, how) == "fine\n"
    check(postgres, written, 1 + 5 * 3 * 60)
