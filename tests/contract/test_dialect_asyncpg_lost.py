"""What becomes of ``postgresql+onetrip_asyncpg`` when connections die, event loops end and work is cancelled."""

import asyncio
import gc
import random
import warnings
from collections.abc import AsyncIterator, Callable
from typing import Any

import anyio
import pytest
from sqlalchemy import insert, literal, text
from sqlmodel import col, select

from onetrip import AsyncDatabase, Settings, errors
from onetrip._engine.dialects import janitor
from tests.contract.face import Face, Mode
from tests.contract.models import Account
from tests.contract.targets import DEFAULT, Target
from tests.harness.postgres import Postgres
from tests.harness.proxy import Proxy
from tests.harness.wait import until_async

Open = Callable[..., Face]
ONE = select(literal(1))


@pytest.fixture
def mode() -> Mode:
    """Run everything over asyncpg."""
    return Mode("async", "asyncpg")


@pytest.fixture
def target() -> Target:
    """Run everything where what is sent is what the server gets."""
    return DEFAULT


@pytest.fixture
def lazy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the janitor leave what is owed to the next user."""
    monkeypatch.setattr(janitor, "PATIENCE", 60.0)


@pytest.fixture
async def alone(open_face: Open) -> Face:
    """Open a database with one connection."""
    return open_face(pool_max=1)


async def raw(session: Any) -> Any:
    """Return the connection of asyncpg under a session."""
    return (await (await session.connection()).get_raw_connection()).driver_connection


def states(server: Postgres, database: str) -> list[str | None]:
    """Return what the server says its clients are doing."""
    return [backend.state for backend in server.backends(database)]


async def test_a_notification_is_no_death(alone: Face, server: Postgres, database: str) -> None:
    """A socket with something to read is looked at again when it has been read."""
    async with alone.transaction() as session:
        driver = await raw(session)
        heard: list[str] = []
        await driver.add_listener("news", lambda *news: heard.append(news[-1]))
    server.execute("NOTIFY news, 'one'", database=database)
    assert await alone.fetch_value(ONE) == 1
    await until_async(lambda: heard == ["one"])
    assert alone.stats().opened == 1
    await driver.remove_listener("news", heard.append)


@pytest.mark.parametrize("reads", [True, False])
async def test_a_first_statement_on_a_dead_connection_is_repeated(
    alone: Face, server: Postgres, database: str, reads: bool
) -> None:
    """Nobody notices that the connection died after it was taken, and isolation and settings come along."""
    await alone.fetch_value(ONE)
    block = alone.read(snapshot=True) if reads else alone.transaction(isolation="repeatable read")
    async with block as session:
        await session.connection()
        server.terminate_backends(database)
        assert (await session.exec(text("SHOW transaction_isolation"))).scalar() == "repeatable read"
        assert (await session.exec(text("SHOW transaction_read_only"))).scalar() == ("on" if reads else "off")
    assert alone.stats().opened == 2


async def test_a_replaced_connection_has_the_options_of_the_lost_one(
    alone: Face, server: Postgres, database: str
) -> None:
    """Isolation, access mode and deferral that SQLAlchemy set on a connection hold on the one that takes its place."""
    options = {"isolation_level": "SERIALIZABLE", "postgresql_readonly": True, "postgresql_deferrable": True}
    asked = ", ".join(f"current_setting('transaction_{name}')" for name in ("isolation", "read_only", "deferrable"))
    async with alone.db.engine.connect() as connection:
        await connection.execution_options(**options)
        server.terminate_backends(database)
        assert (await connection.execute(text(f"SELECT {asked}"))).one() == ("serializable", "on", "on")


async def test_a_dead_connection_is_replaced_on_its_way_out(alone: Face, server: Postgres, database: str) -> None:
    """Killed while it rested, it is not handed out, though the event loop has not yet heard of it."""
    for _ in range(5):
        await alone.fetch_value(ONE)
        server.terminate_backends(database)
        await alone.execute(insert(Account).values(name="ann"))
        await alone.execute(text("DELETE FROM account"))
    assert alone.stats().opened == 6


@pytest.fixture
async def cut_off(open_face: Open, server: Postgres, url: str) -> AsyncIterator[tuple[Face, Proxy]]:
    """Open a database with one connection over a network that can fail."""
    with Proxy(server.port) as proxy:
        face = open_face(database_url=proxy.url(url), pool_max=1)
        yield face, proxy
        await face.close()


async def lose(proxy: Proxy, server: Postgres, database: str, work: Any, marker: str) -> Any:
    """Let ``work`` run on the server, lose its answer, then the connection; return what became of it."""
    proxy.drop(requests=False)
    task = asyncio.ensure_future(work)
    await until_async(lambda: any(marker in backend.query for backend in server.backends(database)))
    proxy.cut()
    return (await asyncio.gather(task, return_exceptions=True))[0]


async def test_a_write_alone_is_not_repeated(cut_off: tuple[Face, Proxy], server: Postgres, database: str) -> None:
    """Its answer lost, a statement that was a transaction by itself may be committed, as the error says."""
    face, proxy = cut_off
    statement = insert(Account).values(name="ann")
    await face.execute(statement)
    await face.execute(text("DELETE FROM account"))
    error = await lose(proxy, server, database, face.execute(statement), "INSERT")
    assert isinstance(error, errors.CommitUnknown)
    assert server.scalar("SELECT count(*) FROM account", database=database) == 1


async def test_a_harmless_read_alone_is_repeated(cut_off: tuple[Face, Proxy], server: Postgres, database: str) -> None:
    """Its answer lost, it is asked again on a fresh connection."""
    face, proxy = cut_off
    await face.fetch_value(ONE)
    assert (
        await lose(proxy, server, database, face.fetch_value(select(col(Account.id).label("marker"))), "marker") is None
    )
    assert face.stats().opened == 2


async def test_a_second_statement_is_not_repeated(cut_off: tuple[Face, Proxy], server: Postgres, database: str) -> None:
    """After the first answer a transaction is lost with its connection."""
    face, proxy = cut_off

    async def work() -> None:
        async with face.transaction() as session:
            await session.exec(insert(Account).values(name="ann"))
            proxy.cut()
            await session.exec(insert(Account).values(name="bob"))

    with pytest.raises(errors.ConnectionLost):
        await work()
    assert server.scalar("SELECT count(*) FROM account", database=database) == 0


async def test_a_farewell_is_a_death(alone: Face, server: Postgres, database: str) -> None:
    """Killed under its second statement, a connection is thrown away, though to asyncpg it is still open."""
    with pytest.raises(errors.ConnectionLost):
        async with alone.transaction() as session:
            await session.exec(ONE)
            sleeping = asyncio.ensure_future(session.exec(text("SELECT pg_sleep(60)")))
            await until_async(lambda: any("pg_sleep" in backend.query for backend in server.backends(database)))
            await asyncio.to_thread(server.terminate_backends, database)
            await sleeping
    assert alone.stats().discarded == {"lost": 1}


# Event loops


def test_a_reader_leaves_no_transaction_behind_in_a_loop_that_ended(url: str, server: Postgres, database: str) -> None:
    """What is owed is paid before ``asyncio.run`` returns: nobody would do so afterwards."""
    db = AsyncDatabase(settings=Settings(database_url=url, tier="test", driver="asyncpg"))

    async def read() -> None:
        async with db.read() as session:
            await session.exec(ONE)

    asyncio.run(read())
    assert states(server, database) == ["idle"]
    asyncio.run(db.close())


def test_the_next_event_loop_starts_with_connections_of_its_own(url: str) -> None:
    """A connection of a closed loop is closed without a warning, and the server hears of it."""
    db = AsyncDatabase(settings=Settings(database_url=url, tier="test", driver="asyncpg"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert [asyncio.run(db.fetch_value(ONE)) for _ in range(3)] == [1, 1, 1]
        asyncio.run(db.close())
        gc.collect()


# Cancellation


async def some_work(db: Face, dice: random.Random, number: int) -> None:
    """Do one of the things that people do, and check its answer."""
    value = dice.randrange(10**6)
    match dice.randrange(4):
        case 0:
            assert await db.fetch_value(select(literal(value))) == value
        case 1:
            async with db.read(local={"app.user": str(value)}) as session:
                assert (await session.exec(text("SELECT current_setting('app.user')"))).scalar() == str(value)
        case 2:
            async with db.transaction(isolation="serializable") as session:
                session.add_all([Account(name=f"{number} {half}", balance=value) for half in ("left", "right")])
        case 3:
            await db.execute(text("INSERT INTO account (name) SELECT :name || n FROM generate_series(1, 2) n"),
                             {"name": f"{number} "})  # fmt: skip


@pytest.mark.parametrize("level", ["asyncio", "anyio"])
async def test_cancelled_at_any_moment_it_happens_whole_or_not_at_all(
    alone: Face, server: Postgres, database: str, level: str
) -> None:
    """Afterwards nothing runs, nobody is in a transaction, no answer was another's, no half is stored."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    dice = random.Random(seed)
    cancelled = 0
    for number in range(100):
        moment = dice.random() * 0.004
        if level == "asyncio":
            task = asyncio.ensure_future(some_work(alone, dice, number))
            await asyncio.sleep(moment)
            task.cancel()
            (outcome,) = await asyncio.gather(task, return_exceptions=True)
            assert outcome is None or isinstance(outcome, asyncio.CancelledError), repr(outcome)
            cancelled += outcome is not None
        else:
            with anyio.move_on_after(moment) as scope:
                await some_work(alone, dice, number)
            cancelled += scope.cancelled_caught
        assert await alone.fetch_value(select(literal(number))) == number
    assert 0 < cancelled < 100
    assert alone.stats().in_use == 0
    halves = text(
        "SELECT count(*) FROM (SELECT split_part(name, ' ', 1) FROM account GROUP BY 1 HAVING count(*) <> 2) t"
    )
    assert await alone.fetch_value(halves) == 0
    await until_async(lambda: set(states(server, database)) == {"idle"})


@pytest.mark.parametrize("level", ["asyncio", "anyio"])
async def test_cancelled_work_stops_on_the_server(alone: Face, server: Postgres, database: str, level: str) -> None:
    """A statement that nobody waits for any more does not go on."""

    async def sleep() -> None:
        await alone.fetch_value(text("SELECT pg_sleep(60)"))

    for _ in range(5):  # by chance it stops even where nobody takes care
        async with anyio.create_task_group() as group:
            if level == "asyncio":
                cancel = asyncio.ensure_future(sleep()).cancel
            else:
                group.start_soon(sleep)
                cancel = group.cancel_scope.cancel
            await until_async(lambda: "active" in states(server, database))
            cancel()
        await until_async(lambda: "active" not in states(server, database))
