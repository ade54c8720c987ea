"""A compute that sleeps: waited for when somebody comes, noticed when it went, left alone otherwise."""

import time
from collections.abc import Callable

import pytest
from sqlalchemy import text

from onetrip import deadline, errors
from onetrip.errors import Retry
from tests.contract.face import Face
from tests.harness.neon import NeonProxy

Open = Callable[..., Face]
BOTH = pytest.mark.parametrize("pooled", [False, True], ids=["direct", "pooled"])
ONE = text("SELECT 1")


@pytest.fixture
def neon(sleepy_neon: NeonProxy, monkeypatch: pytest.MonkeyPatch) -> NeonProxy:
    """Play a Neon that wakes quickly."""
    monkeypatch.setattr(sleepy_neon, "waking_takes", 0.1)
    return sleepy_neon


@BOTH
async def test_a_sleeping_database_is_waited_for(
    open_neon: Open, neon: NeonProxy, monkeypatch: pytest.MonkeyPatch, *, pooled: bool
) -> None:
    """Whoever comes first waits within ``connect_timeout`` and is served."""
    monkeypatch.setattr(neon, "waking_takes", 0.5)
    db = open_neon(neon.url(pooled=pooled), connect_timeout=20)
    neon.suspend()
    wakes, began = neon.wakes, time.monotonic()
    assert await db.fetch_value(ONE) == 1
    assert 0.5 < time.monotonic() - began < 20
    assert neon.wakes == wakes + 1


@pytest.mark.slow
async def test_a_wait_that_is_too_long_ends(open_neon: Open, neon: NeonProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    """After ``connect_timeout`` it is ConnectTimeout, which may be tried again later; then the compute is up."""
    db = open_neon(neon.url(), connect_timeout=2)  # libpq takes nothing shorter
    neon.suspend()
    monkeypatch.setattr(neon, "waking_takes", 60)
    began = time.monotonic()
    with pytest.raises(errors.ConnectTimeout) as timed_out:
        await db.fetch_value(ONE)
    assert 1.9 < time.monotonic() - began < 3.9
    assert timed_out.value.retry is Retry.LATER
    monkeypatch.setattr(neon, "waking_takes", 0)
    assert await db.fetch_value(ONE) == 1


@BOTH
async def test_under_a_stock_dialect_a_suspended_connection_is_lost_once(
    open_neon: Open, neon: NeonProxy, *, pooled: bool
) -> None:
    """57P01 and a bare end of file alike are ConnectionLost, which may be repeated at once; the next use works."""
    db = open_neon(neon.url(pooled=pooled), one_trip=False)
    assert await db.fetch_value(ONE) == 1
    neon.suspend()
    with pytest.raises(errors.ConnectionLost) as lost:
        await db.fetch_value(ONE)
    assert lost.value.retry is Retry.YES
    assert await db.fetch_value(ONE) == 1
    assert db.stats().discarded == {"lost": 1}


@BOTH
async def test_a_suspended_connection_is_replaced_unnoticed(open_neon: Open, neon: NeonProxy, *, pooled: bool) -> None:
    """A connection is looked at before it is handed out: that its compute has gone to sleep is no error."""
    db = open_neon(neon.url(pooled=pooled))
    assert await db.fetch_value(ONE) == 1
    neon.suspend()
    assert await db.fetch_value(ONE) == 1
    assert db.stats().discarded == {"dead": 1}


@BOTH
async def test_a_transaction_is_lost_as_a_whole(open_neon: Open, neon: NeonProxy, *, pooled: bool) -> None:
    """A compute that restarts under a transaction takes it along; it may be repeated from its start."""
    db = open_neon(neon.url(pooled=pooled))
    with pytest.raises(errors.ConnectionLost) as lost:
        async with db.transaction() as session:
            await session.exec(ONE)
            neon.suspend()
            await session.exec(ONE)
    assert lost.value.retry is Retry.YES
    assert await db.fetch_value(ONE) == 1


async def test_a_deadline_ends_the_wait(open_neon: Open, neon: NeonProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    """The caller's time is shorter than the waking; libpq, when it blocks, takes two seconds at least."""
    db = open_neon(neon.url())
    neon.suspend()
    monkeypatch.setattr(neon, "waking_takes", 60)
    began = time.monotonic()
    with deadline(0.3), pytest.raises(errors.DeadlineExceeded, match=r"of 0\.3 s ended the wait") as exceeded:
        await db.fetch_value(ONE)
    assert time.monotonic() - began < (4 if db.blocking else 1.5)
    assert (exceeded.value.phase, exceeded.value.retry) == (errors.Phase.CONNECT, Retry.LATER)


async def test_nothing_wakes_it_unasked(open_neon: Open, neon: NeonProxy) -> None:
    """Opening, looking at figures, and closing with idle connections send nothing to a compute that sleeps."""
    db = open_neon(neon.url())
    await db.fetch_value(ONE)
    neon.suspend()
    before = neon.accepted, neon.wakes
    open_neon(neon.url())
    db.stats()
    db.recent_failure(60)
    await db.close()
    assert (neon.accepted, neon.wakes, neon.asleep) == (*before, True)
