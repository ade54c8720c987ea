"""Use one database from many sides at once while its connections are closed, thrown away and killed, for some seconds.

What it is after does not raise: libpq's memory freed under somebody who works with it ends the process.
"""

import asyncio
import faulthandler
import random
import sys
import threading
import time
from collections import Counter
from typing import Any

import psycopg
from sqlalchemy import text

from onetrip import AsyncDatabase, Database, Settings, errors

ONE, WRONG = text("SELECT :n + 0"), text("SELECT 1 / 0")
KILL = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'onetrip' ORDER BY random() LIMIT 2
"""
EXPECTED = errors.DatabaseError


def killing(url: str, until: float) -> None:
    """Kill two backends now and then."""
    with psycopg.connect(url, autocommit=True, application_name="killer") as connection:
        while time.monotonic() < until:
            connection.execute(KILL)
            time.sleep(random.random() * 0.05)


def client(db: Database, until: float, outcomes: Counter[str]) -> None:
    """Do one of many things, again and again."""
    while time.monotonic() < until:
        n, what = random.randrange(10**6), random.random()
        try:
            if what < 0.02:
                db.close()
                db.open()
            elif what < 0.04:
                db.engine.dispose()
            elif what < 0.5:
                with db.read() as session:
                    assert session.exec(ONE, params={"n": n}).one()[0] == n
                    if what < 0.08:
                        session.connection().invalidate()
            elif what < 0.6:
                with db.transaction() as session:
                    session.exec(WRONG)
            else:
                assert db.fetch_value(ONE, {"n": n}) == n
            outcomes["done"] += 1
        except EXPECTED as error:
            outcomes[type(error).__name__] += 1


async def client_async(db: AsyncDatabase, until: float, outcomes: Counter[str]) -> None:
    """Do the same in an event loop, sometimes for a few milliseconds only."""
    while time.monotonic() < until:
        try:
            async with asyncio.timeout(random.choice((None, None, random.random() * 0.01))):
                await one(db, random.randrange(10**6), random.random())
            outcomes["done"] += 1
        except (EXPECTED, TimeoutError) as error:
            outcomes[type(error).__name__] += 1


async def one(db: AsyncDatabase, n: int, what: float) -> None:
    """Do one of many things."""
    if what < 0.02:
        await db.close()
        db.open()
    elif what < 0.04:
        await db.engine.dispose()
    elif what < 0.5:
        async with db.read() as session:
            assert (await session.exec(ONE, params={"n": n})).one()[0] == n
            if what < 0.08:
                await (await session.connection()).invalidate()
    elif what < 0.6:
        async with db.transaction() as session:
            await session.exec(WRONG)
    else:
        assert await db.fetch_value(ONE, {"n": n}) == n


async def clients_async(db: AsyncDatabase, until: float, outcomes: Counter[str]) -> None:
    """Be eight tasks."""
    await asyncio.gather(*(client_async(db, until, outcomes) for _ in range(8)))
    db.open()
    assert await db.fetch_value(ONE, {"n": 1}) == 1
    await db.close()


def main(colour: str, driver: str, url: str, superuser: str, seconds: str) -> None:
    """Hammer for so long."""
    until = time.monotonic() + float(seconds)
    faulthandler.dump_traceback_later(float(seconds) + 40, exit=True)
    outcomes: Counter[str] = Counter()
    kind: Any = Database if colour == "sync" else AsyncDatabase
    db = kind(settings=Settings(database_url=url, driver=driver, pool_max=4, tier="test"))
    threads = [threading.Thread(target=killing, args=(superuser, until))]
    if colour == "sync":
        threads += [threading.Thread(target=client, args=(db, until, outcomes)) for _ in range(8)]
    for thread in threads:
        thread.start()
    if colour == "async":
        asyncio.run(clients_async(db, until, outcomes))
    for thread in threads:
        thread.join()
    if colour == "sync":
        db.open()
        assert db.fetch_value(ONE, {"n": 1}) == 1
        db.close()
    stats = db.stats()
    assert (stats.in_use, stats.idle) == (0, 0), stats
    print(dict(outcomes), "opened", stats.opened, stats.discarded)


if __name__ == "__main__":
    main(*sys.argv[1:])
