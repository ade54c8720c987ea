"""Connections that rest: left in peace, and closed from here before the compute suspends."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack

import pytest
from sqlalchemy import text

from tests.contract.face import Face
from tests.harness.neon import NeonProxy
from tests.harness.postgres import Postgres
from tests.harness.wait import until_async

Open = Callable[..., Face]
ONE = text("SELECT 1")


async def fill(db: Face, connections: int) -> None:
    """Have as many connections in the pool, at rest."""
    async with AsyncExitStack() as stack:
        for _ in range(connections):
            session = await stack.enter_async_context(db.read())
            await session.exec(ONE)
    assert db.stats().idle == connections


@pytest.fixture
async def awake(neon: NeonProxy) -> NeonProxy:
    """Give a Neon that nobody is connected to."""
    await until_async(lambda: neon.open_links == 0)
    return neon


@pytest.mark.parametrize("pooled", [False, True], ids=["direct", "pooled"])
async def test_closed_without_any_request(open_neon: Open, awake: NeonProxy, *, pooled: bool) -> None:
    """``pool_idle`` seconds after its last use a connection is gone, whatever ``pool_min`` says: the compute sleeps."""
    db = open_neon(awake.url(pooled=pooled), pool_idle=0.3, pool_min=3)
    await fill(db, 3)
    await until_async(lambda: awake.open_links == 0)
    assert (db.stats().idle, db.stats().discarded) == (0, {"idle": 3})
    assert await db.fetch_value(ONE) == 1


async def test_the_floor_is_kept_where_nothing_sleeps(opened: Open, postgres: Postgres, database: str) -> None:
    """A server of one's own keeps ``pool_min`` connections warm, and loses the rest."""
    db = opened(postgres.url(database), pool_idle=0.3, pool_min=2)
    await fill(db, 5)
    await until_async(lambda: db.stats().idle == 2)
    await asyncio.sleep(0.5)  # one more round of whoever looks
    assert postgres.connection_count(database) == 2
    assert db.stats().discarded == {"idle": 3}


async def test_used_ones_stay(opened: Open, postgres: Postgres, database: str) -> None:
    """Only rest counts: who is used again and again is kept, the others go."""
    db = opened(postgres.url(database), pool_idle=1, pool_min=0)
    await fill(db, 3)

    async def used() -> bool:
        await db.fetch_value(ONE)
        return sum(db.stats().discarded.values()) == 2

    await until_async(used)
    assert (db.stats().opened, db.stats().idle, db.stats().discarded) == (3, 1, {"idle": 2})


async def test_nothing_is_sent_to_them(open_trip: Open, awake: NeonProxy, neon_names: None) -> None:
    """From the last answer on not one byte leaves, in either direction: a query would keep the compute awake."""
    db = open_trip(awake.url(), tier="production")
    await fill(db, 3)
    before = 0

    async def quiet() -> bool:
        nonlocal before
        last, before = before, awake.received
        await asyncio.sleep(0.1)
        return last == before

    await until_async(quiet)
    received = awake.received, awake.sent
    for _ in range(5):
        db.stats()
        db.recent_failure(60)
        await asyncio.sleep(0.1)
    assert (awake.received, awake.sent) == received
