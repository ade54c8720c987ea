"""What ``run()`` promises."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import text

from onetrip import deadline, errors
from tests.contract.face import Face

BALANCE = text("SELECT balance FROM account WHERE name = 'ann'")
SET = text("UPDATE account SET balance = :value WHERE name = 'ann'")


@pytest.fixture
async def ann(db: Face) -> Face:
    """Store ann with a balance of 0."""
    await db.execute(text("INSERT INTO account (name) VALUES ('ann')"))
    return db


async def test_repeats_what_lost_a_conflict(ann: Face) -> None:
    """Another transaction changes what the first attempt has read: the second attempt sees it, and both count."""
    read: list[int] = []

    async def increment(session: Any) -> None:
        read.append((await session.exec(BALANCE)).scalar())
        if len(read) == 1:
            await ann.execute(SET, {"value": 10})
        await session.exec(SET, params={"value": read[-1] + 1})

    await ann.run(increment, isolation="repeatable read")
    assert read == [0, 10]
    assert await ann.fetch_value(BALANCE) == 11


async def test_concurrent_increments_all_count(ann: Face) -> None:
    """Of six that read before they write, each that was acknowledged is in the sum, and no other."""

    async def increment(session: Any) -> None:
        balance = (await session.exec(BALANCE)).scalar()
        await session.exec(SET, params={"value": balance + 1})

    results = await asyncio.gather(
        *(ann.run(increment, isolation="serializable") for _ in range(6)), return_exceptions=True
    )
    refused = [result for result in results if result is not None]
    assert all(isinstance(error, errors.SerializationFailure) for error in refused)
    assert await ann.fetch_value(BALANCE) == 6 - len(refused) > 0


async def test_repeats_five_times_and_then_raises(ann: Face) -> None:
    """The last conflict is the error, and nothing is kept."""
    calls = []

    async def lose(session: Any) -> None:
        calls.append(1)
        await session.exec(SET, params={"value": 7})
        await session.exec(text("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '40001'; END $$"))

    with pytest.raises(errors.SerializationFailure):
        await ann.run(lose)
    assert len(calls) == 5
    assert await ann.fetch_value(BALANCE) == 0


async def test_does_not_repeat_another_error(ann: Face) -> None:
    """What fails again is not tried again."""
    calls = []

    async def fail(session: Any) -> None:
        calls.append(1)
        await session.exec(text("UPDATE account SET balance = -1"))

    with pytest.raises(errors.CheckViolation):
        await ann.run(fail)
    assert len(calls) == 1


async def test_returns_what_the_work_returns(ann: Face) -> None:
    """The result of the attempt that committed."""

    async def work(session: Any) -> int:
        await session.exec(SET, params={"value": 4})
        return 42

    assert await ann.run(work) == 42
    assert await ann.fetch_value(BALANCE) == 4


async def test_stops_at_the_deadline(ann: Face) -> None:
    """A retry that the caller no longer waits for is not made."""

    async def lose(session: Any) -> None:
        await session.exec(text("SELECT pg_sleep(0.05)"))
        await session.exec(text("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '40P01'; END $$"))

    with deadline(0.12), pytest.raises((errors.DeadlineExceeded, errors.DeadlockDetected, errors.StatementTimeout)):
        await ann.run(lose)
