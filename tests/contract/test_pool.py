"""What the pool promises."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import FrozenInstanceError

import pytest
from sqlalchemy import text

from onetrip import deadline, errors
from tests.contract.face import Face
from tests.contract.targets import Target
from tests.harness.wait import until_async

Open = Callable[..., Face]
ONE = text("SELECT 1")
PID = text("SELECT pg_backend_pid()")


async def test_nothing_is_connected_before_the_first_statement(db: Face) -> None:
    """``pool_min`` is a floor that demand fills, not a set of connections opened at start."""
    assert (db.stats().opened, db.stats().idle) == (0, 0)


async def test_one_connection_serves_one_after_another(db: Face) -> None:
    """The connection used last is used next."""
    pids = {await db.fetch_value(PID) for _ in range(20)}
    assert len(pids) == 1
    assert (db.stats().opened, db.stats().idle, db.stats().in_use) == (1, 1, 0)


async def test_a_full_pool_refuses_in_time_and_says_its_numbers(open_face: Open) -> None:
    """Who waits longer than ``pool_timeout`` gets DatabaseBusy, with the figures to act on."""
    db = open_face(pool_max=1, pool_timeout=0.1)
    async with db.transaction() as session:
        await session.exec(ONE)
        began = time.monotonic()
        with pytest.raises(errors.DatabaseBusy, match=r"size=1 in_use=1 idle=0 waiting=1") as caught:
            await db.fetch_value(ONE)
        assert 0.09 < time.monotonic() - began < 3
    assert (caught.value.http_status, caught.value.retry) == (503, errors.Retry.LATER)
    assert (db.stats().refused, db.stats().waiting, db.stats().in_use) == (1, 0, 0)
    assert db.stats().wait.longest > 0.09


async def test_who_waits_is_served_when_one_comes_back(open_face: Open) -> None:
    """Waiting shows in the figures while it lasts, and ends with a connection."""
    db = open_face(pool_max=1)
    async with db.transaction() as session:
        await session.exec(ONE)
        waiter = asyncio.ensure_future(db.fetch_value(text("SELECT 7")))
        await until_async(lambda: db.stats().waiting == 1)
    assert await waiter == 7
    assert db.stats().opened == 1


async def test_a_deadline_shortens_the_wait(open_face: Open) -> None:
    """The caller's time is up before the pool's is."""
    db = open_face(pool_max=1)
    async with db.transaction() as session:
        await session.exec(ONE)
        with deadline(0.1), pytest.raises(errors.DeadlineExceeded):
            await db.fetch_value(ONE)
    assert db.stats().in_use == 0


async def test_a_deadline_bounds_the_statement(db: Face) -> None:
    """The server stops what nobody waits for any more."""
    with deadline(0.2), pytest.raises(errors.StatementTimeout):
        await db.fetch_value(text("SELECT pg_sleep(10)"))


async def test_nothing_starts_after_the_deadline(db: Face) -> None:
    """Once it has passed, the next thing is refused without a trip."""
    with deadline(0.01):
        await asyncio.sleep(0.02)
        with pytest.raises(errors.DeadlineExceeded):
            await db.fetch_value(ONE)
    assert db.stats().opened == 0


async def test_an_old_connection_is_replaced(open_face: Open) -> None:
    """``pool_lifetime`` retires it on its way out, and the figures say why."""
    db = open_face(pool_lifetime=1e-6)
    await db.fetch_value(ONE)
    await db.fetch_value(ONE)
    assert (db.stats().opened, db.stats().discarded) == (2, {"lifetime": 1})


@pytest.mark.parametrize("floor", [0, 1])
async def test_a_rested_connection_is_replaced(open_face: Open, target: Target, floor: int) -> None:
    """``pool_idle`` retires what rested so long that the server may sleep, down to ``pool_min`` where it is not."""
    db = open_face(pool_idle=1e-6, pool_min=floor)
    await db.fetch_value(PID)
    await db.fetch_value(PID)
    sleeps = target.needs == "neon_names"
    assert set(db.stats().discarded) == ({"idle"} if sleeps or not floor else set())


async def test_stats_are_a_frozen_record(db: Face) -> None:
    """A snapshot does not change, and can be written as JSON."""
    await db.fetch_value(ONE)
    stats = db.stats()
    with pytest.raises(FrozenInstanceError):
        stats.size = 3
    assert stats.as_dict()["hold"]["count"] == 1
    assert 0 < stats.hold.p50 <= stats.hold.p95 <= stats.hold.p99 <= stats.hold.longest


async def test_closed_means_closed(db: Face) -> None:
    """After ``close()`` nothing is open, new work is refused, and ``open()`` takes it up again."""
    await db.fetch_value(ONE)
    await db.close()
    assert (db.stats().idle, db.stats().discarded) == (0, {"closed": 1})
    with pytest.raises(errors.DatabaseClosed):
        await db.fetch_value(ONE)
    await db.close()
    db.open()
    assert await db.fetch_value(ONE) == 1


async def test_a_connection_in_use_at_close_is_closed_when_it_comes_back(db: Face) -> None:
    """Work in flight is finished, then its connection goes."""
    async with db.transaction() as session:
        await session.exec(text("INSERT INTO account (name) VALUES ('ann')"))
        await db.close()
    assert (db.stats().idle, db.stats().in_use) == (0, 0)
    db.open()
    assert await db.fetch_value(text("SELECT count(*) FROM account")) == 1


@pytest.mark.parametrize("waiting", [1, 3])
async def test_close_refuses_who_waits(open_face: Open, waiting: int) -> None:
    """Whoever stands in line when the database closes is told so when the place comes free, not after a time-out."""
    db = open_face(pool_max=1)
    async with db.transaction() as session:
        await session.exec(ONE)
        waiters = [asyncio.ensure_future(db.fetch_value(ONE)) for _ in range(waiting)]
        await until_async(lambda: db.stats().waiting == waiting)
        await db.close()
    assert {type(error) for error in await asyncio.gather(*waiters, return_exceptions=True)} == {errors.DatabaseClosed}
    assert (db.stats().idle, db.stats().in_use, db.stats().waiting) == (0, 0, 0)


async def test_ping_measures_and_names_the_server(db: Face) -> None:
    """One round to the server and back, with its version."""
    ping = await db.ping()
    assert ping.seconds > 0
    assert ping.server_version.split(".")[0].isdigit()


async def test_get_session_is_a_generator_outside_a_request(db: Face) -> None:
    """Without FastAPI it is ``transaction()`` in the form of a generator."""
    if db.blocking:
        for session in db.db.get_session():
            session.exec(text("INSERT INTO account (name) VALUES ('ann')"))
    else:
        async for session in db.db.get_session():
            await session.exec(text("INSERT INTO account (name) VALUES ('ann')"))
    assert await db.fetch_value(text("SELECT count(*) FROM account")) == 1


async def test_the_wrong_face_for_a_driver_is_refused(open_face: Open, db: Face) -> None:
    """psycopg2 cannot await and asyncpg cannot block: the right class is named."""
    with pytest.raises(errors.ConfigurationError, match="AsyncDatabase" if db.blocking else "Database"):
        open_face(driver="asyncpg" if db.blocking else "psycopg2")
