"""Fork four children out of a running event loop whose tasks are busy in an AsyncDatabase; everybody goes on."""

import asyncio
import faulthandler
import gc
import os
import sys
from collections.abc import Callable
from typing import Any

from sqlalchemy import text

from onetrip import AsyncDatabase, Settings
from tests.failures.book import BOTH, ECHO, INSERT

PID = text("SELECT pg_backend_pid()")
BUSY = text("SELECT :n + 0, pg_sleep(0.002)")
PATIENCE = 20  # s


async def use(db: AsyncDatabase, start: int, requests: int = 60) -> None:
    """Send requests of every kind, from three tasks, and check the answers."""

    async def work(n: int) -> None:
        for k in range(n, n + requests):
            assert await db.fetch_value(ECHO, {"n": k}) == k
            async with db.read() as session:
                assert (await session.exec(ECHO, params={"n": k})).one()[0] == k
            if k % 2:
                await db.execute(BOTH, {"n": k})
            else:
                async with db.transaction() as session:
                    await session.exec(INSERT, params={"n": k, "half": 1})
                    await session.exec(INSERT, params={"n": k, "half": 2})

    await asyncio.gather(*(work(start + k * 1000) for k in range(3)))


async def child(db: AsyncDatabase, number: int, parents: set[int]) -> None:
    """Use the parent's AsyncDatabase as if it were one's own, in an event loop of one's own."""
    gc.collect()
    assert await db.fetch_value(PID) not in parents
    await use(db, number * 10_000)
    await db.close()


def fork(work: Callable[[], Any]) -> int:
    """Run ``work()`` in a child with an event loop of its own; return the child's number."""
    if (pid := os.fork()) == 0:
        faulthandler.dump_traceback_later(PATIENCE, exit=True)
        status = 1
        try:
            asyncio.run(work())
            status = 0
        finally:
            os._exit(status)
    return pid


async def main(url: str, driver: str) -> None:
    """Be the parent."""
    db = AsyncDatabase(settings=Settings(database_url=url, driver=driver, pool_max=8))
    stop, pids = asyncio.Event(), set()

    async def busy() -> None:
        n = 0
        while not stop.is_set():
            n += 1
            async with db.read() as session:
                assert (await session.exec(BUSY, params={"n": n})).one()[0] == n
                pids.add((await session.exec(PID)).one()[0])

    tasks = [asyncio.ensure_future(busy()) for _ in range(4)]
    async with db.transaction() as session:
        await session.exec(INSERT, params={"n": 1, "half": 1})
        pids.add((await session.exec(PID)).one()[0])
        children = []
        for number in range(1, 5):
            async with db.read() as reading:
                pids.add((await reading.exec(PID)).one()[0])  # and its ROLLBACK is owed when the process forks
            children.append(fork(lambda number=number: child(db, number, pids)))
        codes = await asyncio.gather(*(asyncio.to_thread(os.waitpid, pid, 0) for pid in children))
        await session.exec(INSERT, params={"n": 1, "half": 2})
    stop.set()
    await asyncio.gather(*tasks)
    assert [code for _, code in codes] == [0] * 4, codes
    await use(db, 50_000)
    assert not db.stats().discarded, db.stats()
    await db.close()
    print("fine")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
