"""Send a request for every line that comes in; say what came of it, and what the pool looks like."""

import asyncio
import sys
import threading
from json import dumps
from typing import Any

from sqlalchemy import text

from onetrip import AsyncDatabase, Database, Settings

ECHO = text("SELECT :n + 0")


def work(db: Database, n: int) -> int:
    """Answer one request, as a handler does."""
    with db.read() as session:
        first = session.exec(ECHO, params={"n": n}).one()[0]
    return int(first + (db.fetch_value(ECHO, {"n": n}) or 0))


async def work_async(db: AsyncDatabase, n: int) -> int:
    """Answer one request, as a handler does."""
    async with db.read() as session:
        first = (await session.exec(ECHO, params={"n": n})).one()[0]
    return int(first + await db.fetch_value(ECHO, {"n": n}))


async def from_loop(db: AsyncDatabase) -> None:
    """Serve in one event loop, which goes on turning between requests."""
    for n in range(10_000):
        if not await asyncio.to_thread(sys.stdin.readline):
            break
        say(db, n, await work_async(db, n))
    await db.close()


def say(db: Any, n: int, answer: int) -> None:
    """Report on a request."""
    assert answer == 2 * n
    stats = db.stats()
    threads = sorted(thread.name for thread in threading.enumerate() if thread.name.startswith("onetrip"))
    print(
        dumps({"opened": stats.opened, "idle": stats.idle, "discarded": stats.discarded, "threads": threads}),
        flush=True,
    )


def main(colour: str, driver: str, url: str) -> None:
    """Serve until the input ends. "runs" is asyncio.run() for each request."""
    kind = Database if colour == "sync" else AsyncDatabase
    db = kind(settings=Settings(database_url=url, driver=driver))  # type: ignore[arg-type]
    if colour == "async":
        asyncio.run(from_loop(db))  # type: ignore[arg-type]
        return
    for n, _ in enumerate(sys.stdin):
        say(db, n, work(db, n) if isinstance(db, Database) else asyncio.run(work_async(db, n)))
    if isinstance(db, Database):
        db.close()
    else:
        asyncio.run(db.close())


if __name__ == "__main__":
    main(*sys.argv[1:])
