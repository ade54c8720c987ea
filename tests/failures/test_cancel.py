"""Requests cancelled at any moment: whole or not at all, nothing left behind, and nobody sees anybody else's."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial

import anyio
import pytest
from sqlalchemy import text

from onetrip import AsyncDatabase, errors
from tests.contract.face import MODES, Face, Mode
from tests.failures.book import BOTH, INSERT
from tests.harness.postgres import APP, Postgres
from tests.harness.proxy import Proxy
from tests.harness.wait import until_async

Open = Callable[..., Face]
Request = Callable[[], Awaitable[None]]
Moment = Callable[[], Awaitable[object]]
Cancel = Callable[[Request, Moment], Awaitable[bool]]
MINE = text("SELECT :n + 0, current_setting('app.n'), current_setting('role'), pg_sleep(:pause)")
NOBODY = text("SELECT :n + 0, coalesce(current_setting('app.n', true), ''), current_setting('role')")

pytestmark = pytest.mark.parametrize("mode", [mode for mode in MODES if mode.colour == "async"], ids=str)


@pytest.fixture
async def db(open_trip: Open, postgres: Postgres, written: str, mode: Mode) -> AsyncDatabase:
    """Open a small pool, so that many requests share a connection."""
    db = open_trip(postgres.url(written), pool_max=5, statement_timeout=60).db
    assert isinstance(db, AsyncDatabase)
    return db


class Requests:
    """Send requests that carry their number as tenant, and read it back with their row."""

    def __init__(self, db: AsyncDatabase, dice: random.Random) -> None:
        self.db = db
        self.dice = dice
        self.acknowledged: set[int] = set()
        self.wrong: list[object] = []
        self.outcomes: Counter[str] = Counter()

    async def any(self, n: int) -> None:
        """Send one of them."""
        await self.dice.choice((self.read, self.fetch, self.plain, self.transaction, self.execute))(n)

    def _check(self, row: object, n: int, role: str = APP) -> None:
        if tuple(row)[:3] != (n, str(n), role):  # type: ignore[arg-type]
            self.wrong.append((n, row))

    async def read(self, n: int) -> None:
        async with self.db.read(local={"app.n": str(n)}, role=APP) as session:
            for _ in range(self.dice.randrange(1, 3)):
                self._check((await session.exec(MINE, params=self._pause(n))).one(), n)

    async def fetch(self, n: int) -> None:
        row = await self.db.fetch_one(MINE, self._pause(n), local={"app.n": str(n)}, role=APP)
        self._check(row, n)

    async def plain(self, n: int) -> None:
        row = await self.db.fetch_one(NOBODY, {"n": n})
        if tuple(row) != (n, "", "none"):
            self.wrong.append((n, row))

    async def transaction(self, n: int) -> None:
        async with self.db.transaction(local={"app.n": str(n)}, isolation="repeatable read") as session:
            await session.exec(INSERT, params={"n": n, "half": 1})
            self._check((await session.exec(MINE, params=self._pause(n))).one(), n, "none")
            await session.exec(INSERT, params={"n": n, "half": 2})
        self.acknowledged.add(n)

    async def execute(self, n: int) -> None:
        await self.db.execute(BOTH, {"n": n}, local={"app.n": str(n)})
        self.acknowledged.add(n)

    def _pause(self, n: int) -> dict[str, object]:
        return {"n": n, "pause": self.dice.choice((0, 0, 0.01, 0.03))}


async def by_task(work: Request, moment: Moment) -> bool:
    """Cancel the request's task once."""
    task = asyncio.ensure_future(work())
    await moment()
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        return True
    return False


async def by_timeout(work: Request, moment: Moment) -> bool:
    """Let asyncio's time-out end it."""
    try:
        async with asyncio.timeout(None) as limit, at(moment, lambda: limit.reschedule(0)):
            await work()
    except TimeoutError:
        return True
    return False


async def by_scope(work: Request, moment: Moment) -> bool:
    """Cancel anyio's scope around it: every await inside is cancelled, again and again."""
    with anyio.CancelScope() as scope:
        async with at(moment, scope.cancel):
            await work()
    return scope.cancelled_caught


async def in_a_group(work: Request, moment: Moment) -> bool:
    """Cancel anyio's task group that it runs in, as Starlette does when a client hangs up."""
    over = False

    async def run() -> None:
        nonlocal over
        await work()
        over = True

    async with anyio.create_task_group() as group:
        group.start_soon(run)
        await moment()
        group.cancel_scope.cancel()
    return not over


@asynccontextmanager
async def at(moment: Moment, do: Callable[[], object]) -> AsyncIterator[None]:
    """Do something at a moment, unless the block is over by then."""

    async def wait() -> None:
        await moment()
        do()

    waiting = asyncio.ensure_future(wait())
    try:
        yield
    finally:
        waiting.cancel()


WAYS: tuple[Cancel, ...] = (by_task, by_timeout, by_scope, in_a_group)


async def storm(db: AsyncDatabase, total: int, clients: int = 20) -> Requests:
    """Send ``total`` requests and cancel each at a random moment; return what became of them."""
    seed = random.randrange(10**6)
    print(f"seed={seed}")
    dice = random.Random(seed)
    requests = Requests(db, dice)
    began = time.monotonic()
    await asyncio.gather(*(requests.any(-n) for n in range(1, 5 * clients)))
    longest = 3 * (time.monotonic() - began) / 5  # s; some requests are over by then, on any machine

    async def client(numbers: range) -> None:
        for n in numbers:
            try:
                moment = partial(asyncio.sleep, dice.random() ** 2 * longest)
                cancelled = await dice.choice(WAYS)(partial(requests.any, n), moment)
            except errors.DatabaseError as error:
                requests.outcomes[type(error).__name__] += 1
            else:
                requests.outcomes["cancelled" if cancelled else "done"] += 1

    share = total // clients
    await asyncio.gather(*(client(range(k * share, (k + 1) * share)) for k in range(clients)))
    print(requests.outcomes, db.stats())
    return requests


@pytest.mark.parametrize("total", [400, pytest.param(10_000, marks=pytest.mark.slow)])
async def test_cancelled_at_any_moment(db: AsyncDatabase, postgres: Postgres, written: str, total: int) -> None:
    """No connection is out, none in a transaction, no query runs; every write is whole; no row is somebody else's."""
    requests = await storm(db, total)
    assert db.stats().in_use == 0
    await until_async(
        lambda: all(backend.state == "idle" for backend in postgres.backends(written)),
        timeout=2,
        message=lambda: str(postgres.backends(written)),
    )
    assert requests.wrong == []
    assert requests.outcomes.keys() <= {"cancelled", "done"}
    assert min(requests.outcomes["cancelled"], requests.outcomes["done"] + 1) > total / 20
    rows = postgres.scalar("SELECT json_agg(json_build_array(n, half)) FROM written", database=written)
    there = {n for n, _ in rows}
    assert sorted(map(tuple, rows)) == sorted((n, half) for n in there for half in (1, 2))
    assert requests.acknowledged <= there
    # And the pool is as good as new.
    assert await asyncio.gather(*(db.fetch_value(text("SELECT :n + 0"), {"n": n}) for n in range(20))) == [*range(20)]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
@pytest.mark.parametrize("style", ["read", "fetch", "transaction", "execute"])
async def test_cancelled_work_stops_on_the_server(
    db: AsyncDatabase, postgres: Postgres, written: str, style: str, way: Cancel
) -> None:
    """A statement that would run for half a minute is gone from the server, and its connection is free, at once."""
    sleep = text("SELECT pg_sleep(30)")

    async def work() -> None:
        if style == "fetch":
            await db.fetch_value(sleep)
        elif style == "execute":
            await db.execute(sleep)
        else:
            async with db.read() if style == "read" else db.transaction() as session:
                await session.exec(sleep)

    def active() -> bool:
        return any(backend.state == "active" for backend in postgres.backends(written))

    assert await way(work, lambda: until_async(active))
    await until_async(lambda: not active(), timeout=1, message="it still runs")
    await until_async(lambda: all(backend.state == "idle" for backend in postgres.backends(written)), timeout=1)
    assert db.stats().in_use == 0


async def test_who_waits_behind_a_cancelled_connect_is_served(
    open_trip: Open, postgres: Postgres, database: str, mode: Mode
) -> None:
    """A place in the pool that came free without a connection is not lost on those who wait for one."""
    with Proxy(postgres.port) as proxy:
        db = open_trip(proxy.url(postgres.url(database)), pool_max=1)
        proxy.deaf()
        first = asyncio.ensure_future(db.ping())
        await until_async(lambda: proxy.accepted == 1)
        others = [asyncio.ensure_future(db.ping()) for _ in range(3)]
        await until_async(lambda: db.stats().waiting == 3)
        proxy.hear()
        first.cancel()
        await asyncio.wait_for(asyncio.gather(*others), 10)
        await asyncio.gather(first, return_exceptions=True)
        await db.close()
        await until_async(lambda: proxy.open_links == 0)
