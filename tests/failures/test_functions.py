"""Function runtimes: one connection, kept from one invocation to the next, and nothing left to do in between."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI
from mangum import Mangum
from sqlalchemy import text

from onetrip import AsyncDatabase, Settings, errors
from onetrip.fastapi import ReadSession, WriteSession, lifespan
from tests.contract.face import MODES, Face, Mode
from tests.failures.processes import running
from tests.harness.postgres import Postgres

Open = Callable[..., Face]
ONE = text("SELECT 1")
PID = text("SELECT pg_backend_pid()")
pytestmark = pytest.mark.usefixtures("on_the_floor")


@pytest.fixture
def runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    """Be a function."""
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "tasks")


@pytest.fixture
async def db(runtime: None, open_trip: Open, postgres: Postgres, database: str) -> Face:
    """Open a database as a function does."""
    return open_trip(postgres.url(database))


def ours() -> set[threading.Thread]:
    """Return our threads."""
    return {thread for thread in threading.enumerate() if thread.name.startswith("onetrip")}


async def failing(db: Face) -> None:
    """Fail in a transaction."""
    with pytest.raises(errors.DatabaseError):
        async with db.transaction() as session:
            await session.exec(text("SELECT 1 / 0"))


async def reading(db: Face) -> None:
    """Read in a session."""
    async with db.read() as session:
        await session.exec(ONE)


async def fetching(db: Face) -> None:
    """Fetch a value."""
    assert await db.fetch_value(ONE) == 1


async def writing(db: Face) -> None:
    """Write in a transaction."""
    async with db.transaction() as session:
        await session.exec(text("CREATE TABLE IF NOT EXISTS note (id int)"))


def timers() -> list[asyncio.TimerHandle]:
    """Return what the event loop is to do for us later."""
    return [timer for timer in getattr(asyncio.get_running_loop(), "_scheduled", []) if "onetrip" in repr(timer)]


@pytest.mark.parametrize("work", [reading, fetching, writing, failing], ids=lambda work: work.__name__)
async def test_nothing_is_left_to_do(db: Face, postgres: Postgres, database: str, work: Callable[..., Any]) -> None:
    """When the handler has returned the server sees no transaction, and here are no thread and no timer of ours."""
    threads, timed = ours(), timers()  # those that other tests left, which may end meanwhile
    for _ in range(3):
        await work(db)
        assert [backend.state for backend in postgres.backends(database)] == ["idle"]  # at once, not soon
    assert ours() <= threads
    assert [timer for timer in timers() if timer not in timed] == []
    assert (db.stats().opened, db.stats().idle, db.stats().size) == (1, 1, 1)


async def test_a_connection_that_dies_with_its_transaction(db: Face, postgres: Postgres, database: str) -> None:
    """What is said to it in the end fails; the one place in the pool is not lost by that."""
    for _ in range(3):
        async with db.read() as session:
            await session.exec(ONE)
            await asyncio.to_thread(postgres.terminate_backends, database)
        assert await db.fetch_value(ONE) == 1
    assert db.stats().in_use == 0


@pytest.mark.parametrize("mode", MODES, ids=str)
def test_frozen_and_thawed(frail: Postgres, frail_database: str, mode: Mode) -> None:
    """The process is stopped between invocations, the compute suspends and wakes: the next invocation succeeds."""
    colour = "runs" if mode.colour == "async" else "sync"  # asyncio.run() for each invocation
    with running("stopped", colour, mode.driver, frail.url(frail_database), VERCEL="1") as program:
        for _ in range(2):
            program.ask()
            said = program.ask()
            assert (said["idle"], said["threads"]) == (1, [])
            with program.stopped():
                assert {backend.state for backend in frail.backends(frail_database)} <= {"idle"}
                frail.restart()
        assert program.ask()["idle"] == 1


EVENT = {
    "version": "2.0",
    "rawPath": "/answer",
    "rawQueryString": "",
    "headers": {"host": "x"},
    "requestContext": {"http": {"method": "GET", "path": "/answer", "sourceIp": "203.0.113.9"}},
    "isBase64Encoded": False,
}


@pytest.mark.usefixtures("runtime")
@pytest.mark.parametrize("mode", MODES[2:], ids=str)
@pytest.mark.parametrize("lifespans", ["auto", "off"])
def test_mangum(postgres: Postgres, database: str, mode: Mode, lifespans: Any) -> None:
    """Mangum enters and leaves the lifespan in every invocation: the connection is kept all the same."""
    db = AsyncDatabase(settings=Settings(database_url=postgres.url(database), tier="production", driver=mode.driver))
    app = FastAPI(lifespan=lifespan(db))
    pids = []

    @app.get("/answer")
    async def answer(reading: ReadSession, writing: WriteSession) -> int:
        pids.append((await reading.exec(PID)).one()[0])
        return 42

    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        asyncio.set_event_loop(loop)
        if lifespans == "off":
            loop.run_until_complete(lifespan(db)(app).__aenter__())
        handler = Mangum(app, lifespan=lifespans)
        for _ in range(3):
            assert handler(EVENT, None)["body"] == "42"  # type: ignore[arg-type]
            assert [backend.state for backend in postgres.backends(database)] == ["idle"]
        assert len(set(pids)) == 1
        loop.run_until_complete(db.close())
        asyncio.set_event_loop(None)
