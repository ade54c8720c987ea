"""What ``run()`` promises."""

import asyncio

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
    """Six concurrent increments that read before they write all count."""

    async def increment(session: object) -> None:
        balance = (await session.exec(BALANCE)).scalar()  # type: ignore[attr-defined]
        await session.exec(SET, params={"value": balance + 1})  # type: ignore[attr-defined]

    results = await asyncio.gather(
        *(ann.run(increment, isolation="serializable") for _ in range(6)), return_exceptions=True
    )
    done = [result for result in results if result is None]
    assert all(isinstance(result, errors.SerializationFailure) for result in results if result is not None)
    assert len(done) >= 2
    assert await ann.fetch_value(BALANCE) == len(done)


async def test_repeats_five_times_and_then_raises(ann: Face) -> None:
    """The last conflict is the error, and nothing is kept."""
    calls = []

    async def lose(session: object) -> None:
        calls.append(1)
        await session.exec(SET, params={"value": 7})  # type: ignore[attr-defined]
        await session.exec(text("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '40001'; END $$"))  # type: ignore[attr-defined]

    with pytest.raises(errors.SerializationFailure):
        await ann.run(lose)
    assert len(calls) == 5
    assert await ann.fetch_value(BALANCE) == 0


async def test_does_not_repeat_another_error(ann: Face) -> None:
    """What fails again is not tried again."""
    calls = []

    async def fail(session: object) -> None:
        calls.append(1)
        await session.exec(text("UPDATE account SET balance = -1"))  # type: ignore[attr-defined]

    with pytest.raises(errors.CheckViolation):
        await ann.run(fail)
    assert len(calls) == 1


async def test_returns_what_the_work_returns(ann: Face) -> None:
    """The result of the attempt that committed."""

    async def work(session: object) -> int:
        await session.exec(SET, params={"value": 4})  # type: ignore[attr-defined]
        return 42

    assert await ann.run(work) == 42
    assert await ann.fetch_value(BALANCE) == 4


async def test_stops_at_the_deadline(ann: Face) -> None:
    """A retry that the caller no longer waits for is not made."""

    async def lose(session: object) -> None:
        await session.exec(text("SELECT pg_sleep(0.05)"))  # type: ignore[attr-defined]
        await session.exec(text("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '40P01'; END $$"))  # type: ignore[attr-defined]

    with deadline(0.12), pytest.raises((errors.DeadlineExceeded, errors.DeadlockDetected, errors.StatementTimeout)):
        await ann.run(lose)
