"""Inside a rolled-back test everything is as in production, but for the end."""

import asyncio
from contextlib import nullcontext
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import MissingGreenlet
from sqlmodel import select

from onetrip import AsyncDatabase, Database
from onetrip.errors import ConnectionLost, ForeignKeyViolation, ReadOnlyViolation, UniqueViolation, UnsafeUse
from onetrip.testing._worker import Worker
from tests.contract.face import Face
from tests.harness.postgres import Postgres

from .models import NAMES, SETTINGS, Item, Owner


@pytest.fixture(scope="module", params=["psycopg", "psycopg2"])
def blocking_driver(request: pytest.FixtureRequest) -> str:
    """Carry the transaction over either blocking driver."""
    name: str = request.param
    return name


@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
async def test_the_end_of_a_test_undoes_what_was_committed(worker: Worker, asynchronous: bool) -> None:
    """What one test commits, it reads back; the next one finds nothing of it."""
    for _ in range(2):
        with (
            worker.test((), committed=False) as stage,
            stage.async_database() if asynchronous else stage.database() as db,
        ):
            face = Face(db)
            assert await face.fetch_all(NAMES) == []
            async with face.transaction() as session:
                session.add(Item(name="a"))
            await face.execute(text("INSERT INTO kit_item (name) VALUES ('b')"))
            assert await face.fetch_all(NAMES) == ["a", "b"]


async def test_an_exception_undoes_its_own_transaction_alone(face: Face) -> None:
    """Rolled back is what raised; what was committed before stays, and work goes on."""
    await face.execute(text("INSERT INTO kit_item (name) VALUES ('kept')"))
    with pytest.raises(UniqueViolation):
        async with face.transaction() as session:
            session.add_all([Item(name="lost"), Item(name="kept")])
    assert await face.fetch_all(NAMES) == ["kept"]


async def test_a_session_may_go_on_after_its_commit(face: Face) -> None:
    """commit() and rollback() inside a block do what they do in production."""
    async with face.transaction() as session:
        session.add(Item(name="first"))
        await session.commit()
        session.add(Item(name="second"))
        await session.rollback()
        session.add(Item(name="third"))
    assert await face.fetch_all(NAMES) == ["first", "third"]


async def test_savepoints_of_the_application_work_inside(face: Face) -> None:
    """begin_nested() is undone by itself, in the middle of a transaction that is kept."""
    async with face.transaction() as session:
        session.add(Item(name="before"))
        await session.flush()
        nested = await session.begin_nested()
        session.add(Item(name="inside"))
        await session.flush()
        await asyncio.to_thread(nested.rollback) if face.blocking else await nested.rollback()
        session.add(Item(name="after"))
    assert await face.fetch_all(NAMES) == ["after", "before"]


async def test_many_rows_are_written_and_streamed(async_db: AsyncDatabase) -> None:
    """insertmanyvalues, executemany and a server-side cursor work as they do on a connection of their own."""
    async with async_db.transaction() as session:
        session.add_all([Item(name=f"{number:04}") for number in range(1500)])
        await session.flush()
        await (await session.connection()).execute(
            text("INSERT INTO kit_item (name) VALUES (:name)"), [{"name": "x"}, {"name": "y"}]
        )
    async with async_db.read() as session:
        names = [name async for name in await session.stream_scalars(NAMES.execution_options(yield_per=100))]
    assert len(names) == 1502
    assert names[-1] == "y"


async def test_constraints_deferred_by_hand_are_so_for_one_transaction(face: Face) -> None:
    """SET CONSTRAINTS ends with its transaction, and what it put off is checked there."""
    await face.execute(text("INSERT INTO kit_item (name) VALUES ('a')"))
    with pytest.raises(UniqueViolation):
        async with face.transaction() as session:
            await session.exec(text("SET CONSTRAINTS ALL DEFERRED"))
            await session.exec(text("INSERT INTO kit_item (name) VALUES ('a')"))
    async with face.transaction() as session:
        await session.exec(text("SET CONSTRAINTS ALL DEFERRED"))
    with pytest.raises(UniqueViolation):
        async with face.transaction() as session:
            await session.exec(text("INSERT INTO kit_item (name) VALUES ('a')"))
            pytest.fail("the constraint is INITIALLY IMMEDIATE")


async def test_run_repeats_a_conflict(face: Face) -> None:
    """A serialization failure inside run() is repeated, with nothing left of the first attempt."""
    attempts = []

    async def work(session: Any) -> int:
        attempts.append(1)
        session.add(Item(name="once"))
        await session.flush()
        if len(attempts) == 1:
            await session.exec(text("DO $$ BEGIN RAISE SQLSTATE '40001'; END $$"))
        return len(attempts)

    assert await face.run(work, isolation="serializable") == 2
    assert await face.fetch_all(NAMES) == ["once"]


async def test_a_deferred_constraint_is_checked_at_commit_and_deferred_again(face: Face) -> None:
    """The check comes where COMMIT would make it, undoes the transaction, and does not come earlier afterwards."""
    for _ in range(2):
        with pytest.raises(ForeignKeyViolation):
            async with face.transaction() as session:
                session.add(Item(name="orphan", owner_id=7))
                await session.flush()
        assert await face.fetch_all(NAMES) == []
        async with face.transaction() as session:  # child first: only a deferred constraint allows it
            await session.exec(text("INSERT INTO kit_item (name, owner_id) VALUES ('child', 1)"))
            await session.exec(text("INSERT INTO kit_owner (id) VALUES (1)"))
        async with face.transaction() as session:
            await session.exec(text("DELETE FROM kit_item"))
            await session.exec(text("DELETE FROM kit_owner"))


async def test_an_immediate_constraint_stays_immediate(face: Face) -> None:
    """A constraint that is INITIALLY IMMEDIATE fails at its statement, after a commit as before."""
    await face.execute(text("INSERT INTO kit_item (name) VALUES ('a')"))
    reached = False
    with pytest.raises(UniqueViolation):
        async with face.transaction() as session:
            await session.exec(text("INSERT INTO kit_item (name) VALUES ('a')"))
            reached = True
    assert not reached


async def test_read_is_read_only_on_the_server_and_nothing_after_it(face: Face) -> None:
    """A write inside read() is refused by the server; the next transaction may write."""
    with pytest.raises(ReadOnlyViolation):
        async with face.read() as session:
            await session.exec(text("INSERT INTO kit_item (name) VALUES ('no')"))
    assert await face.fetch_value(text("SELECT current_setting('transaction_read_only')")) == "on"
    await face.execute(text("INSERT INTO kit_item (name) VALUES ('yes')"))
    assert await face.fetch_all(NAMES) == ["yes"]


@pytest.mark.parametrize("fails", [False, True], ids=["commit", "rollback"])
async def test_no_setting_outlives_its_transaction(face: Face, fails: bool) -> None:
    """Role, local settings, time-out, and what was SET by hand end with the transaction, however it ends."""
    before = await face.fetch_one(SETTINGS)
    with pytest.raises(ZeroDivisionError) if fails else nullcontext():
        async with face.transaction(role="kit_reader", local={"app.user": "7"}, statement_timeout=3) as session:
            inside = (await session.exec(SETTINGS)).one()
            await session.exec(text("SET LOCAL search_path = pg_catalog"))
            await session.exec(text("SET work_mem = '1MB'"))
            assert (inside[0], inside[2], inside[3]) == ("kit_reader", "7", "3s")
            if fails:
                raise ZeroDivisionError
    assert await face.fetch_one(SETTINGS) == before
    assert await face.fetch_value(text("SHOW work_mem")) != "1MB"


async def test_a_lazy_load_fails_as_it_does_in_production(async_db: AsyncDatabase) -> None:
    """The connection underneath blocks, and yet an attribute that needs an await is not loaded without one."""
    async with async_db.transaction() as session:
        session.add(Owner(id=1))
        await session.flush()
        session.expire_all()
        owner = (await session.exec(select(Owner))).one()
        with pytest.raises(MissingGreenlet):
            _ = owner.items


def test_autocommit_is_refused(db: Database) -> None:
    """What could not be rolled back is not begun."""
    with pytest.raises(UnsafeUse, match="AUTOCOMMIT"):
        db.engine.connect().execution_options(isolation_level="AUTOCOMMIT")


async def test_the_engine_itself_is_inside(async_db: AsyncDatabase, db: Database) -> None:
    """What bypasses our sessions, through the engine, is undone as well."""
    async with async_db.engine.begin() as connection:
        await connection.execute(text("INSERT INTO kit_item (name) VALUES ('async')"))
    with db.engine.begin() as connection:
        connection.execute(text("INSERT INTO kit_item (name) VALUES ('sync')"))
    with db.engine.connect() as connection:
        connection.execute(text("INSERT INTO kit_item (name) VALUES ('never committed')"))
    assert db.fetch_all(NAMES) == ["async", "sync"]


def test_ddl_is_undone(worker: Worker) -> None:
    """A table that a test makes is gone after it."""
    for _ in range(2):
        with worker.test((), committed=False) as stage, stage.database() as db:
            assert db.fetch_value(text("SELECT to_regclass('made')::text")) is None
            db.execute(text("CREATE TABLE made (id int)"))


def test_a_commit_sent_as_sql_is_found_out(worker: Worker) -> None:
    """The test that ended the transaction around it fails, and the next one has a new database."""
    with pytest.raises(UnsafeUse, match="COMMIT"), worker.test((), committed=False) as stage, stage.database() as db:
        connection = db.engine.raw_connection()
        cursor = connection.cursor()
        cursor.execute("INSERT INTO kit_item (name) VALUES ('escaped'); COMMIT")
    connection.detach()
    with worker.test((), committed=False) as stage, stage.database() as db:
        assert db.fetch_all(NAMES) == []


def test_a_session_left_open_holds_up_nobody(worker: Worker) -> None:
    """A test that forgets to end a session does not hinder the next one, and the session is told."""
    with worker.test((), committed=False) as stage, stage.database() as db:
        manager = db.transaction()
        session = manager.__enter__()
        session.add(Item(name="a"))
        session.flush()
    with worker.test((), committed=False) as stage, stage.database() as db:
        assert db.fetch_all(NAMES) == []
        with pytest.raises(UnsafeUse, match="ended with the one around it"):
            session.exec(NAMES)
        manager.__exit__(None, None, None)


def test_a_lost_connection_does_not_spoil_the_next_test(worker: Worker, server: Postgres) -> None:
    """The server ends the connection in the middle of a test; the next test has a new one."""
    with worker.test((), committed=False) as stage, stage.database() as db:
        pid = db.fetch_value(text("SELECT pg_backend_pid()"))
        server.scalar("SELECT pg_terminate_backend(%s, 5000)", pid)
        with pytest.raises(ConnectionLost):
            db.fetch_all(NAMES)
    with worker.test((), committed=False) as stage, stage.database() as db:
        assert db.fetch_all(NAMES) == []
