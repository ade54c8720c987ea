"""What ``postgresql+onetrip_asyncpg`` promises beyond what every driver does."""

import asyncio
from collections.abc import Callable
from typing import Any

import asyncpg
import pytest
from sqlalchemy import event, func, insert, literal, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlmodel import col, select

from onetrip import errors
from onetrip._engine.dialects import janitor
from tests.contract.face import Face, Mode
from tests.contract.models import Account
from tests.contract.targets import DEFAULT, Target
from tests.harness.postgres import Postgres
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


@pytest.fixture
async def sent(alone: Face) -> list[str]:
    """Write down what is sent as text; statements with parameters travel otherwise."""
    said: list[str] = []

    @event.listens_for(alone.db.engine.sync_engine, "connect")
    def listen(connection: Any, _record: object) -> None:
        connection.driver_connection.add_query_logger(lambda record: said.append(record.query))

    return said


async def raw(session: Any) -> Any:
    """Return the connection of asyncpg under a session."""
    return (await (await session.connection()).get_raw_connection()).driver_connection


def states(server: Postgres, database: str) -> list[str | None]:
    """Return what the server says its clients are doing."""
    return [backend.state for backend in server.backends(database)]


# What is owed


async def test_everything_owed_is_one_query(alone: Face, sent: list[str], lazy: None) -> None:
    """The last reader's ROLLBACK, BEGIN and its settings leave together."""
    async with alone.read() as session:
        await session.exec(ONE)
    async with alone.transaction(isolation="serializable", local={"app.user": "ann"}) as session:
        await session.exec(ONE)
    await until_async(lambda: "COMMIT" in sent)
    _, opening, _ = sent
    assert opening.startswith("ROLLBACK; BEGIN ISOLATION LEVEL SERIALIZABLE; SELECT ")


async def test_the_janitor_ends_what_nobody_comes_for(
    alone: Face, server: Postgres, database: str, sent: list[str]
) -> None:
    """A session that only read leaves no transaction open on the server."""
    async with alone.read() as session:
        await session.exec(ONE)
    await until_async(lambda: "ROLLBACK" in sent)
    await until_async(lambda: states(server, database) == ["idle"])


async def test_asyncpg_called_directly_is_not_in_the_transaction_before(alone: Face, lazy: None) -> None:
    """What a user copies into a table through the driver is kept, though the last user's ROLLBACK is still owed."""
    async with alone.transaction() as session:
        await session.exec(ONE)
        await session.rollback()
        driver = await raw(session)
        assert not driver.is_in_transaction()
        await driver.copy_records_to_table("account", records=[("ann", 1)], columns=["name", "balance"])
        assert await driver.fetchval("SELECT count(*) FROM account") == 1
    assert await alone.fetch_all(select(Account.name)) == ["ann"]


async def test_a_transaction_of_asyncpgs_own_begins_anew(alone: Face, lazy: None) -> None:
    """It neither fails for the transaction that is over nor begins inside it."""
    async with alone.transaction() as session:
        await session.exec(ONE)
        await session.rollback()
        driver = await raw(session)
        async with driver.transaction():
            await driver.execute("INSERT INTO account (name) VALUES ('ann')")
    assert await alone.fetch_all(select(Account.name)) == ["ann"]


async def test_a_transaction_of_asyncpgs_own_is_a_savepoint_inside(alone: Face) -> None:
    """Inside a session's transaction it can be undone alone, as with SQLAlchemy's dialect."""
    async with alone.transaction() as session:
        session.add(Account(name="ann"))
        await session.flush()
        driver = await raw(session)
        with pytest.raises(asyncpg.UniqueViolationError):
            async with driver.transaction():
                await driver.execute("INSERT INTO account (name) VALUES ('ann')")
        session.add(Account(name="bob"))
    assert sorted(await alone.fetch_all(select(Account.name))) == ["ann", "bob"]


async def test_a_failed_opening_is_over(alone: Face, lazy: None) -> None:
    """A role that there is not is reported as itself, and the next transaction is a whole one."""
    with pytest.raises(errors.DatabaseError, match="nobody_of_this_name"):
        async with alone.transaction(role="nobody_of_this_name") as session:
            await session.exec(ONE)
    async with alone.transaction() as session:
        session.add(Account(name="ann"))
    assert await alone.fetch_all(select(Account.name)) == ["ann"]
    assert alone.stats().opened == 1


async def test_a_commit_that_was_a_rollback_is_known(alone: Face) -> None:
    """The connection keeps what the server called the COMMIT of a failed transaction."""
    async with alone.db.engine.connect() as connection:
        driver = (await connection.get_raw_connection()).driver_connection
        with pytest.raises(DBAPIError, match="division"):
            await connection.execute(text("SELECT 1 / 0"))
        await connection.commit()
        assert driver.answer == "ROLLBACK"


async def test_a_session_without_a_statement_sends_nothing(alone: Face, sent: list[str]) -> None:
    """Taking a connection, committing and leaving cost no trip."""
    async with alone.transaction() as session:
        await session.connection()
    await asyncio.sleep(0)
    assert sent == []


# One statement alone


async def test_a_harmless_read_needs_no_transaction(alone: Face, sent: list[str]) -> None:
    """One SELECT of known parts is a transaction by itself."""
    await alone.fetch_all(select(Account).where(col(Account.balance) > 3))
    await asyncio.sleep(0)  # asyncpg tells its loggers at the loop's next turn
    assert sent == []


async def test_a_read_that_might_write_is_read_only(alone: Face) -> None:
    """What is not known to be harmless cannot write, because the server refuses."""
    with pytest.raises(errors.ReadOnlyViolation):
        await alone.fetch_value(text("INSERT INTO account (name) VALUES ('ann') RETURNING id"))
    with pytest.raises(errors.ReadOnlyViolation):
        await alone.fetch_value(select(func.nextval("account_id_seq")))


async def test_a_write_of_one_statement_is_its_own_transaction(alone: Face, sent: list[str]) -> None:
    """``execute`` without settings sends its statement and nothing else, and it is committed."""
    assert (await alone.execute(insert(Account).values(name="ann", balance=1))).rowcount == 1
    await asyncio.sleep(0)
    assert sent == []
    assert await alone.fetch_all(select(Account.name)) == ["ann"]


async def test_a_write_with_settings_is_committed(alone: Face, sent: list[str]) -> None:
    """With a tenant or a role ``execute`` opens a transaction, and ends it."""
    await alone.execute(
        text("INSERT INTO account (name) SELECT current_setting('app.user')"), local={"app.user": "ann"}
    )
    await until_async(lambda: [query.split(";")[0] for query in sent] == ["BEGIN", "COMMIT"])
    assert await alone.fetch_all(select(Account.name)) == ["ann"]


async def test_a_refused_parameter_leaves_no_transaction(alone: Face, lazy: None) -> None:
    """A statement that was prepared and never run has taken no snapshot for who comes next."""
    with pytest.raises(errors.DatabaseError):
        await alone.fetch_value(select(Account.id).where(col(Account.balance) == 2**40))
    async with alone.transaction(isolation="serializable") as session:
        await session.exec(ONE)
    assert alone.stats().opened == 1


# As SQLAlchemy's own


async def test_autocommit_takes_what_cannot_run_in_a_transaction(alone: Face, lazy: None) -> None:
    """VACUUM runs, also right behind somebody who only read."""
    async with alone.read() as session:
        await session.exec(ONE)
    async with alone.db.engine.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        await connection.execute(text("VACUUM account"))
    async with alone.transaction(isolation="repeatable read") as session:
        assert (await session.exec(text("SHOW transaction_isolation"))).scalar() == "repeatable read"


async def test_rows_stream(alone: Face) -> None:
    """A cursor on the server gives rows as they are asked for."""
    async with alone.read() as session:
        result = await session.stream(select(func.generate_series(1, 500)), execution_options={"yield_per": 7})
        assert [number async for number in result.scalars()] == list(range(1, 501))


async def test_connections_that_others_make_work_as_ever(url: str, server: Postgres, database: str) -> None:
    """With ``async_creator`` a ROLLBACK is sent at once: nothing keeps its maker out of what is over."""
    engine = create_async_engine(
        "postgresql+onetrip_asyncpg://", async_creator=lambda: asyncpg.connect(url, ssl=False), pool_size=1
    )
    async with engine.connect() as connection:
        await connection.execute(text("SELECT 1"))
        driver = (await connection.get_raw_connection()).driver_connection
        await connection.rollback()
        assert not driver.is_in_transaction()
    await engine.dispose()


async def test_the_server_is_asked_nothing_at_the_first_connect(alone: Face, sent: list[str]) -> None:
    """Version and the like were said at start-up."""
    await alone.fetch_value(ONE)
    await asyncio.sleep(0)
    assert sent == []
    assert alone.db.engine.dialect.server_version_info == (
        18,
        int(str((await alone.ping()).server_version).split(".")[1]),
    )
