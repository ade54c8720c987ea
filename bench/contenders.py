"""Who is measured: one request, blocking or awaited, done again and again by one client or by several at once."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from typing import Any

from bench.work import ASYNCPG, OURS, PSYCOPG, PSYCOPG2, ROW, SIDES, Mode, Thing, stock_engine, worker

QUERY = "SELECT id, name, count FROM bench_thing WHERE id = "
POOL = 5
FETCH, POOLED, AUTOCOMMIT, ALCHEMY = "onetrip fetch_one", "raw pool", "raw pool, autocommit", "advanced-alchemy"


@dataclass
class Spell:
    """What a contender did in its turn: how many requests, in how many seconds, with how much CPU of the client."""

    requests: int
    seconds: float
    cpu: float

    @property
    def rate(self) -> float:
        """Return requests a second."""
        return self.requests / self.seconds


class Contender:
    """Do one request again and again; several clients at once need a coroutine function and its loop."""

    def __init__(self, one: Callable[[], Any], close: Callable[[], Any], runner: asyncio.Runner | None = None) -> None:
        self.one, self._close, self._runner = one, close, runner

    def spell(self, seconds: float, clients: int = 1) -> Spell:
        """Take a turn of about so many seconds."""
        cpu, began = time.process_time(), time.perf_counter()
        end = began + seconds
        requests = self._runner.run(self._clients(end, clients)) if self._runner else self._alone(end)
        return Spell(requests, time.perf_counter() - began, time.process_time() - cpu)

    def _alone(self, end: float) -> int:
        requests = 0
        while time.perf_counter() < end:
            self.one()
            requests += 1
        return requests

    async def _clients(self, end: float, clients: int) -> int:
        async def client() -> int:
            requests = 0
            while time.perf_counter() < end:
                await self.one()
                requests += 1
            return requests

        return sum(await asyncio.gather(*(client() for _ in range(clients))))

    def close(self) -> None:
        """Close its pool."""
        self._runner.run(self._close()) if self._runner else self._close()


def contenders(mode: Mode, url: str, runner: asyncio.Runner) -> dict[str, Contender]:
    """Open everybody who plays over one driver; who is not installed is left out."""
    loop = None if mode.blocking else runner
    workers = {side: _worker(side, mode, url) for side in SIDES}
    found = {side: Contender(worker.read, worker.close, loop) for side, worker in workers.items()}
    fetch_one = partial(workers[OURS].db.fetch_one, ROW)  # a row, as the raw pools give
    found[FETCH] = Contender(fetch_one, _nothing if mode.blocking else _nothing_async, loop)
    if find_spec("advanced_alchemy"):
        found[ALCHEMY] = _alchemy(mode, url, loop)
    return found | {name: Contender(one, close, loop) for name, (one, close) in _raw(mode, url, runner).items()}


def _worker(side: str, mode: Mode, url: str) -> Any:
    return worker(side, mode, url, pool=POOL)


def _nothing() -> None:
    return None


async def _nothing_async() -> None:
    return None


Pair = tuple[Callable[[], Any], Callable[[], Any]]


def _raw(mode: Mode, url: str, runner: asyncio.Runner) -> dict[str, Pair]:
    url = f"{url}?sslmode=disable"
    if mode is PSYCOPG2:
        return {POOLED: _psycopg2(url)}
    if mode is ASYNCPG:
        return {POOLED: runner.run(_asyncpg(url))}
    if not find_spec("psycopg_pool"):
        return {}
    make = _psycopg if mode is PSYCOPG else lambda *given: runner.run(_psycopg_async(*given))
    return {POOLED: make(url, {}), AUTOCOMMIT: make(url, {"autocommit": True})}


def _psycopg(url: str, arguments: dict[str, Any]) -> Pair:
    from psycopg_pool import ConnectionPool

    pool = ConnectionPool(url, kwargs=arguments, min_size=POOL, max_size=POOL, open=True)
    pool.wait()

    def one() -> Any:
        with pool.connection() as connection:
            return connection.execute(f"{QUERY} %s", [7]).fetchone()

    return one, pool.close


async def _psycopg_async(url: str, arguments: dict[str, Any]) -> Pair:
    from psycopg_pool import AsyncConnectionPool

    pool = AsyncConnectionPool(url, kwargs=arguments, min_size=POOL, max_size=POOL, open=False)
    await pool.open(wait=True)

    async def one() -> Any:
        async with pool.connection() as connection:
            return await (await connection.execute(f"{QUERY} %s", [7])).fetchone()

    return one, pool.close


async def _asyncpg(url: str) -> Pair:
    import asyncpg

    pool = await asyncpg.create_pool(url, min_size=POOL, max_size=POOL)

    async def one() -> Any:
        async with pool.acquire() as connection:
            return await connection.fetchrow(f"{QUERY} $1", 7)

    return one, pool.close


def _psycopg2(url: str) -> Pair:
    from psycopg2.pool import ThreadedConnectionPool

    pool = ThreadedConnectionPool(POOL, POOL, url)

    def one() -> Any:
        connection = pool.getconn()
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute(f"{QUERY} %s", [7])
                return cursor.fetchone()
        finally:
            pool.putconn(connection)

    return one, pool.closeall


def _alchemy(mode: Mode, url: str, loop: asyncio.Runner | None) -> Contender:
    """Open its repository over its session, with the engine that its guides make."""
    from advanced_alchemy.repository import SQLAlchemyAsyncRepository, SQLAlchemySyncRepository
    from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
    from sqlalchemy.orm import Session, sessionmaker

    engine = stock_engine(mode, url, pooled=False, ping=False, pool=POOL)
    if mode.blocking:
        sessions = sessionmaker(engine, class_=Session, expire_on_commit=False)
        blocking = type("Things", (SQLAlchemySyncRepository,), {"model_type": Thing})

        def one() -> Any:
            with sessions() as session:
                return blocking(session=session).get_one(id=7)

        return Contender(one, engine.dispose)
    async_sessions = async_sessionmaker(engine, class_=AsyncSession, expire_on_commit=False)
    awaiting = type("Things", (SQLAlchemyAsyncRepository,), {"model_type": Thing})

    async def one_async() -> Awaitable[Any]:
        async with async_sessions() as session:
            return await awaiting(session=session).get_one(id=7)

    return Contender(one_async, engine.dispose, loop)
