"""Processes that fork, change event loops, are stopped and continued: each goes on with connections of its own."""

from json import loads
from pathlib import Path

import pytest

from tests.contract.face import MODES, Mode
from tests.failures.book import Book
from tests.failures.processes import Program, running
from tests.harness.missing import missing
from tests.harness.postgres import Postgres

SYNC = [mode for mode in MODES if mode.colour == "sync"]
ASYNC = [mode for mode in MODES if mode.colour == "async"]

pytestmark = pytest.mark.usefixtures("on_the_floor")


def check(server: Postgres, database: str, writes: int) -> None:
    """Every write is there, whole and once."""
    book = Book()
    book.acknowledged = set(server.scalar("SELECT json_agg(n) FROM written", database=database))
    assert len(book.acknowledged) == writes
    book.check(server, database)


@pytest.mark.parametrize("mode", SYNC, ids=str)
@pytest.mark.parametrize("how", ["os", "exit", "multiprocessing"])
def test_four_children_of_threads(postgres: Postgres, written: str, mode: Mode, how: str) -> None:
    """Forked while threads work: no wrong row, no hang, and the parent's transaction in progress goes through."""
    assert Program("forked", postgres.url(written), mode.driver, how).end() == "fine\n"
    check(postgres, written, 1 + 5 * 3 * 60)


@pytest.mark.parametrize("mode", ASYNC, ids=str)
def test_four_children_of_an_event_loop(postgres: Postgres, written: str, mode: Mode) -> None:
    """Forked while tasks work; each child starts an event loop of its own."""
    assert Program("forked_loop", postgres.url(written), mode.driver).end() == "fine\n"
    check(postgres, written, 1 + 5 * 3 * 60)


@pytest.mark.parametrize("mode", ASYNC, ids=str)
def test_one_event_loop_after_another(database_url: str, mode: Mode) -> None:
    """``asyncio.run()`` five times: psycopg's connections come along, asyncpg's are left; no transaction stays open."""
    said = loads(Program("loops", database_url, mode.driver).end())
    assert said["left"] == [0] * 5
    if mode.driver == "psycopg":
        assert (said["opened"], said["discarded"].get("left behind", 0)) == (3, 0)
    else:
        assert said["opened"] == said["discarded"]["left behind"] + 3


@pytest.mark.parametrize("mode", MODES, ids=str)
@pytest.mark.parametrize("rest", ["240", "0.2"], ids=["looked at", "too old"])
def test_stopped_for_longer_than_the_server_waits(frail: Postgres, frail_database: str, mode: Mode, rest: str) -> None:
    """A process is stopped, the compute suspends and wakes, the process goes on: its next request succeeds."""
    arguments = mode.colour, mode.driver, frail.url(frail_database)
    with running("stopped", *arguments, DATABASE_POOL_IDLE=rest) as program:
        for _ in range(3):
            program.ask()
            with program.stopped():
                frail.restart()
        assert sum(program.ask()["discarded"].values()) == 3


@pytest.mark.parametrize("mode", MODES, ids=str)
def test_a_clock_that_stood_still(database_url: str, mode: Mode, tmp_path: Path) -> None:
    """A frozen machine's monotonic clock may not show it; the other one does, and what rested so long is not used."""
    library = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
    if library is None:
        missing("libfaketime", "apt-get install libfaketime")
    clock = tmp_path / "clock"
    clock.write_text("+0s")
    environment = {"LD_PRELOAD": str(library), "FAKETIME_TIMESTAMP_FILE": str(clock), "FAKETIME_NO_CACHE": "1"}
    arguments = mode.colour, mode.driver, database_url
    with running(
        "stopped", *arguments, **environment, FAKETIME_DONT_FAKE_MONOTONIC="1", DATABASE_POOL_MIN="0", VERCEL="1"
    ) as program:
        assert program.ask()["discarded"] == {}
        assert program.ask()["discarded"] == {}
        clock.write_text("+10m")
        assert program.ask()["discarded"] == {"idle": 1}


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES, ids=str)
def test_nothing_is_freed_under_anybody(frail: Postgres, frail_database: str, mode: Mode) -> None:
    """Used, closed, disposed of and killed from many sides at once: the process lives, and every place comes back."""
    url = frail.url(frail_database)
    program = Program("hammered", mode.colour, mode.driver, url, frail.superuser_url, "12")
    assert "done" in program.end(silent=False)
