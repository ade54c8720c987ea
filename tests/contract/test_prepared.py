"""Prepared statements through poolers: a dozen clients, few server connections, many swaps, no error.

A driver names its statements for a connection; a pooler that gives the next transaction another server connection
makes the name unknown there, or taken. The last test lets engines as SQLAlchemy makes them fail in the same loop.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, make_url, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from tests.contract.face import Face, Mode, to_thread
from tests.contract.targets import POOLERS, Door, pooler_behind

CLIENTS = 12
LOOPS = 30
SERVER_CONNECTIONS = 4
AUTOCOMMIT = {"isolation_level": "AUTOCOMMIT"}
# Parameters make a driver prepare; different texts make the names of one client mean something else to another.
STATEMENTS = [text(f"SELECT {number} + CAST(:value AS int), {', '.join(['1'] * number)}") for number in range(1, 7)]

SLOW_BUT_ONE = [POOLERS[0], *(pytest.param(target, marks=pytest.mark.slow) for target in POOLERS[1:])]


@pytest.fixture
def swapping(door: Door) -> Iterator[None]:
    """Have the pooler give each transaction the server connection that rested longest, of only a few."""
    pooler = pooler_behind(door)
    assert pooler
    few = {} if pooler.settings["pool_mode"] == "session" else {"default_pool_size": SERVER_CONNECTIONS}
    with pooler.changed(server_round_robin=1, **few):
        yield


@asynccontextmanager
async def connection(engine: Engine | AsyncEngine) -> AsyncIterator[Callable[..., Any]]:
    """Give the execute method of a connection, awaitable on both kinds of engine."""
    if isinstance(engine, AsyncEngine):
        async with engine.connect() as connected:
            yield connected.execute
        return
    connected = await to_thread(engine.connect)
    try:
        yield lambda *args: to_thread(connected.execute, *args)
    finally:
        await to_thread(connected.close)


async def hammer(engine: Engine | AsyncEngine) -> list[Exception]:
    """Have clients run three statements a transaction, or alone in autocommit; return what went wrong."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")

    async def client(dice: random.Random) -> list[Exception]:
        failures: list[Exception] = []
        for _ in range(LOOPS):
            try:
                async with connection(engine) as execute:
                    for number in dice.sample(range(len(STATEMENTS)), 3):
                        value = dice.randrange(1000)
                        row = (await execute(STATEMENTS[number], {"value": value})).one()
                        assert row == (number + 1 + value, *[1] * (number + 1))
            except Exception as error:  # noqa: BLE001  each is a finding, the last is not worth more than the first
                failures.append(error)
        return failures

    found = await asyncio.gather(*(client(random.Random(seed + number)) for number in range(CLIENTS)))
    return [error for failures in found for error in failures]


@pytest.mark.parametrize("options", [{}, AUTOCOMMIT], ids=["transaction", "autocommit"])
@pytest.mark.parametrize("target", SLOW_BUT_ONE, indirect=True, ids=str)
async def test_a_swapped_server_connection_costs_no_statement(
    open_face: Callable[..., Face], swapping: None, options: dict[str, Any]
) -> None:
    """Whoever uses the engine directly is safe as well."""
    db = open_face(pool_max=CLIENTS)
    assert await hammer(db.engine.execution_options(**options)) == []
    assert db.stats().discarded == {}


@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, AUTOCOMMIT], ids=["transaction", "autocommit"])
@pytest.mark.parametrize("target", [POOLERS[3]], indirect=True, ids=str)
async def test_a_pooler_that_follows_them_may_be_trusted(
    open_face: Callable[..., Face], url: str, swapping: None, options: dict[str, Any]
) -> None:
    """Statements are prepared where the URL says that they survive, and none is lost."""
    knowing = make_url(url).update_query_dict({"statement_cache_size": "100"})
    db = open_face(database_url=knowing.render_as_string(hide_password=False), pool_max=CLIENTS)
    assert await hammer(db.engine.execution_options(**options)) == []
    assert db.stats().discarded == {}


@pytest.mark.parametrize(
    ("target", "mode", "options"),
    [
        pytest.param(POOLERS[0], Mode("async", "asyncpg"), {}, id="asyncpg in transactions"),
        pytest.param(POOLERS[0], Mode("async", "asyncpg"), AUTOCOMMIT, id="asyncpg in autocommit"),
        pytest.param(POOLERS[0], Mode("sync", "psycopg"), AUTOCOMMIT, id="psycopg in autocommit"),
    ],
    indirect=["target", "mode"],
)
async def test_an_engine_as_sqlalchemy_makes_it_fails(
    url: str, mode: Mode, swapping: None, options: dict[str, Any]
) -> None:
    """The loop above can fail: it does with the drivers' defaults."""
    make = create_async_engine if mode.colour == "async" else create_engine
    engine = make(url.replace("postgresql://", f"postgresql+{mode.driver}://"), pool_size=CLIENTS)
    try:
        failures = await hammer(engine.execution_options(**options))
    finally:
        await engine.dispose() if isinstance(engine, AsyncEngine) else await to_thread(engine.dispose)
    print(len(failures), "of", CLIENTS * LOOPS, "failed")
    assert any("prepared statement" in str(error) for error in failures)
