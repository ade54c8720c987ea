"""One connection serves everything in a test: what may happen on it at once, and what is refused."""

import asyncio

import pytest
from sqlalchemy import text

from onetrip import AsyncDatabase, Database
from onetrip.errors import UnsafeUse
from onetrip.testing import _seat

from .models import NAMES, SETTINGS, Item


@pytest.fixture(scope="module", params=["psycopg", "psycopg2"])
def blocking_driver(request: pytest.FixtureRequest) -> str:
    """Carry the transaction over either blocking driver."""
    name: str = request.param
    return name


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait less long for what does not come."""
    monkeypatch.setattr(_seat, "PATIENCE", 0.3)


def test_a_transaction_inside_another_one_starts_clean_and_leaves_it_as_it_was(db: Database) -> None:
    """A request that a test makes inside its own open transaction sees none of its settings and changes none."""
    with db.transaction(role="kit_reader", local={"app.user": "outer"}) as session:
        session.add(Item(name="outer"))
        session.flush()
        before = session.exec(SETTINGS).one()
        inside = db.fetch_one(SETTINGS)
        assert (inside[0], inside[2]) == (inside[1], None)
        with db.transaction(local={"app.user": "inner"}) as inner:
            inner.add(Item(name="inner"))
        assert session.exec(SETTINGS).one() == before
        with pytest.raises(ZeroDivisionError), db.transaction(local={"app.user": "inner"}) as inner:
            inner.add(Item(name="never"))
            inner.flush()
            raise ZeroDivisionError
        assert session.exec(SETTINGS).one() == before
    assert db.fetch_all(NAMES) == ["inner", "outer"]


def test_a_writer_inside_a_reader_is_refused_with_the_reason(db: Database) -> None:
    """On one connection it could not write, and would say so with a confusing error."""
    with db.read() as session:
        session.exec(NAMES)
        with pytest.raises(UnsafeUse, match="READ ONLY"):
            db.execute(text("INSERT INTO kit_item (name) VALUES ('x')"))


async def test_tasks_take_turns(async_db: AsyncDatabase) -> None:
    """Transactions of tasks side by side are run one after the other, each whole."""

    async def write(number: int) -> None:
        async with async_db.transaction() as session:
            session.add(Item(name=f"{number:02}"))
            await session.flush()
            await asyncio.sleep(0.001)
            if number % 3 == 0:
                raise ZeroDivisionError

    results = await asyncio.gather(*map(write, range(20)), return_exceptions=True)
    assert [type(result) for result in results].count(ZeroDivisionError) == 7
    assert await async_db.fetch_all(NAMES) == [f"{number:02}" for number in range(20) if number % 3]


async def test_overlapping_transactions_are_refused_with_the_way_out(async_db: AsyncDatabase, impatient: None) -> None:
    """Two transactions that end crosswise cannot share a connection; the error says what to do."""
    first, second = async_db.transaction(), async_db.transaction()
    one, two = await first.__aenter__(), await second.__aenter__()
    await one.exec(NAMES)
    await two.exec(NAMES)
    with pytest.raises(UnsafeUse, match="committed"):
        await one.exec(NAMES)
    await second.__aexit__(None, None, None)
    await one.exec(NAMES)
    await first.__aexit__(None, None, None)


async def test_a_task_that_is_kept_waiting_is_told_why(async_db: AsyncDatabase, impatient: None) -> None:
    """A transaction that waits for one that never ends is refused after a while, not stuck."""
    holding, done = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        async with async_db.transaction() as session:
            await session.exec(NAMES)
            holding.set()
            await done.wait()

    task = asyncio.create_task(hold())
    await holding.wait()
    with pytest.raises(UnsafeUse, match="another one is open"):
        await async_db.fetch_all(NAMES)
    done.set()
    await task


def test_blocking_and_asyncio_code_see_the_same(db: Database, async_db: AsyncDatabase) -> None:
    """What one face commits the other reads, on any number of event loops."""
    for number in range(3):
        db.execute(text("INSERT INTO kit_item (name) VALUES (:name)"), {"name": f"s{number}"})
        asyncio.run(async_db.execute(text("INSERT INTO kit_item (name) VALUES (:name)"), {"name": f"a{number}"}))
    assert asyncio.run(async_db.fetch_all(NAMES)) == db.fetch_all(NAMES) == ["a0", "a1", "a2", "s0", "s1", "s2"]
