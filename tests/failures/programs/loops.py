"""Use one AsyncDatabase in one event loop after another, as scripts and functions do; say what the pool did.

After each loop's end somebody else looks whether the server still sees a transaction of ours.
"""

import asyncio
import gc
import sys
from contextlib import suppress
from dataclasses import asdict
from json import dumps
from typing import Any

import psycopg
from sqlalchemy import text

from onetrip import AsyncDatabase, Settings
from tests.harness.wait import until

LEFT = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in%'"


def count(other: psycopg.Connection[Any]) -> int:
    """Return how many transactions the server sees open."""
    row = other.execute(LEFT).fetchone()
    assert row
    return int(row[0])


async def main(db: AsyncDatabase, n: int) -> None:
    """Read in sessions, at once, so that several ROLLBACKs are owed when the loop ends."""

    async def one(k: int) -> None:
        async with db.read() as session:
            assert (await session.exec(text("SELECT :k + 0"), params={"k": k})).one()[0] == k

    assert await db.fetch_value(text("SELECT :n + 0"), {"n": n}) == n
    await asyncio.gather(*(one(k) for k in range(3)))


if __name__ == "__main__":
    url, driver = sys.argv[1:]
    db = AsyncDatabase(settings=Settings(database_url=url, driver=driver, pool_max=3))
    left = []
    with psycopg.connect(url, autocommit=True) as other:
        for n in range(5):
            asyncio.run(main(db, n))
            with suppress(AssertionError):
                until(lambda: not count(other))  # what was sent at the loop's end is on its way
            left.append(count(other))
            gc.collect()
    stats = asdict(db.stats())
    asyncio.run(db.close())
    print(dumps({"left": left, "opened": stats["opened"], "discarded": stats["discarded"]}))
