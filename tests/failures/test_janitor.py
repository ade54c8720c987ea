"""The ROLLBACK that nobody waits for: it rides with the next flight, or leaves by itself, and harms nobody."""

import asyncio
import gc
import subprocess
import sys
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from onetrip import errors
from onetrip._engine.dialects import janitor
from tests.contract.face import Face
from tests.harness.postgres import Postgres
from tests.harness.proxy import Proxy
from tests.harness.wait import until_async

Open = Callable[..., Face]
ONE = text("SELECT 1")
ROOT = Path(__file__).parents[2]


@pytest.fixture
async def db(open_trip: Open, postgres: Postgres, database: str) -> Face:
    """Open a database of the test's own."""
    return open_trip(postgres.url(database), pool_max=5)


@pytest.fixture
async def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a ROLLBACK wait for a minute, unless somebody has a reason to send it."""
    monkeypatch.setattr(janitor, "PATIENCE", 60.0)


async def leave(db: Face, *, by_error: bool = False) -> None:
    """Leave a session that has something to roll back."""
    if by_error:
        with pytest.raises(errors.DatabaseError):
            async with db.read() as session:
                await session.exec(text("SELECT 1 / 0"))
    else:
        async with db.read() as session:
            await session.exec(ONE)


def states(server: Postgres, database: str) -> set[str | None]:
    """Return what the server says of our connections."""
    return {backend.state for backend in server.backends(database)}


@pytest.mark.parametrize("by_error", [False, True], ids=["read", "failed"])
async def test_it_leaves_by_itself(db: Face, postgres: Postgres, database: str, by_error: bool) -> None:
    """Nobody comes by: the transaction ends all the same, soon."""
    await leave(db, by_error=by_error)
    await until_async(lambda: states(postgres, database) == {"idle"}, timeout=2)
    assert db.stats().in_use == 0


@pytest.mark.usefixtures("slow")
async def test_it_rides_with_the_next(db: Face, postgres: Postgres, database: str) -> None:
    """A transaction is a transaction of its own, whatever the connection still owed."""
    seen = text("SELECT pg_backend_pid(), now()")
    rows = []
    for _ in range(3):
        async with db.read() as session:
            rows.append(tuple((await session.exec(seen)).one()))
    assert len({pid for pid, _ in rows}) == 1
    assert len({now for _, now in rows}) == 3
    assert states(postgres, database) != {"idle"}


@pytest.mark.usefixtures("slow")
async def test_closing_sends_it_at_once(db: Face, postgres: Postgres, database: str) -> None:
    """A connection that is closed leaves neither a transaction nor a session behind."""
    await asyncio.gather(*(leave(db) for _ in range(5)))
    await db.close()
    await until_async(lambda: not postgres.backends(database))


async def test_a_connection_that_dies_with_its_debt(db: Face, postgres: Postgres, database: str) -> None:
    """Killed before, while, or after the ROLLBACK is sent: the next user notices nothing."""
    for _ in range(3):
        await asyncio.gather(*(leave(db) for _ in range(5)))
        await asyncio.to_thread(postgres.terminate_backends, database)
        await asyncio.gather(*(leave(db) for _ in range(5)))
    assert db.stats().in_use == 0


async def test_a_network_that_goes_silent_under_it(
    open_trip: Open, postgres: Postgres, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A ROLLBACK without an answer is given up, and its connection with it."""
    monkeypatch.setattr(janitor, "LONGEST", 0.5)
    with Proxy(postgres.port) as proxy:
        db = open_trip(proxy.url(postgres.url(database)), pool_max=2)
        if db.db.settings.driver == "psycopg2":
            pytest.skip("psycopg2 waits for an answer without a limit, and without a way to set one")
        await db.ping()
        async with db.read() as session:
            await session.exec(ONE)
            proxy.drop()
        await until_async(lambda: not db.engine.dialect.do_ping(pooled(db).dbapi_connection))
        assert await db.fetch_value(ONE) == 1
        assert db.stats().opened == 2
        await db.close()


def pooled(db: Face) -> Any:
    """Return the pool's entry that is next."""
    waiting = db.engine.pool._pool
    return (waiting.queue if db.blocking else waiting._queue._queue)[-1]


async def test_who_is_gone_is_not_kept(db: Face) -> None:
    """The janitor forgets a connection that it has nothing to do for."""
    await leave(db)
    await leave(db, by_error=True)
    connection = weakref.ref(pooled(db).driver_connection)
    await db.close()
    await asyncio.sleep(0)

    def gone() -> bool:
        gc.collect()
        return connection() is None

    await until_async(gone)


PROGRAM = """
import asyncio, sys
from sqlalchemy import text
from onetrip import AsyncDatabase, Database, Settings
from onetrip._engine.dialects import janitor
colour, driver, url, how = sys.argv[1:]
janitor.PATIENCE = 60
db = (Database if colour == "sync" else AsyncDatabase)(settings=Settings(database_url=url, driver=driver))
def work():
    for _ in range(3):
        with db.read() as session:
            session.exec(text("SELECT 1"))
    raise SystemExit if how == "exit" else ZeroDivisionError if how == "error" else KeyboardInterrupt
async def work_async():
    for _ in range(3):
        async with db.read() as session:
            await session.exec(text("SELECT 1"))
    raise SystemExit if how == "exit" else ZeroDivisionError if how == "error" else KeyboardInterrupt
try:
    work() if colour == "sync" else asyncio.run(work_async())
except (ZeroDivisionError, KeyboardInterrupt):
    pass
"""


@pytest.mark.parametrize("how", ["exit", "error", "interrupt"])
async def test_a_process_ends_with_debts(db: Face, postgres: Postgres, database: str, how: str) -> None:
    """Without a word on its standard error, and without a session on the server."""
    colour = "sync" if db.blocking else "async"
    arguments = (colour, db.settings.driver, postgres.url(database), how)
    command = [sys.executable, "-X", "faulthandler", "-c", PROGRAM, *arguments]
    done = await asyncio.to_thread(subprocess.run, command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    await until_async(lambda: not postgres.backends(database))
