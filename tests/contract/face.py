"""One face for four databases: the suite is written once, awaiting; a blocking Database does its work in a thread."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import anyio
import anyio.to_thread

from onetrip import AsyncDatabase, Database, Settings


@dataclass(frozen=True)
class Mode:
    """Name a way to use the library."""

    colour: str
    driver: str

    def __str__(self) -> str:
        return f"{self.colour}-{self.driver}"

    def open(self, settings: Settings) -> "Face":
        """Open a database of this mode."""
        return Face(Database(settings=settings)) if self.colour == "sync" else Face(AsyncDatabase(settings=settings))


MODES = (Mode("sync", "psycopg"), Mode("sync", "psycopg2"), Mode("async", "psycopg"), Mode("async", "asyncpg"))


async def to_thread(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Run in a thread of its own: in a bounded pool, those who wait for a connection would block who gives it back."""
    return await anyio.to_thread.run_sync(partial(function, *args, **kwargs), limiter=anyio.CapacityLimiter(1))


class SessionFace:
    """Await a blocking session's methods."""

    def __init__(self, session: Any) -> None:
        self.sync = session

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.sync, name)
        if name in {"add", "add_all", "expunge_all"} or not callable(method):
            return method
        return lambda *args, **kwargs: to_thread(method, *args, **kwargs)


class Face:
    """Await any database's methods; ``db`` is the real thing."""

    def __init__(self, db: Database | AsyncDatabase) -> None:
        self.db = db
        self.blocking = isinstance(db, Database)

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.db, name)
        if not self.blocking or not callable(method) or name in {"stats", "open", "recent_failure"}:
            return method
        return lambda *args, **kwargs: to_thread(method, *args, **kwargs)

    def transaction(self, **options: Any) -> Any:
        return _in_thread(lambda: self.db.transaction(**options)) if self.blocking else self.db.transaction(**options)

    def read(self, **options: Any) -> Any:
        return _in_thread(lambda: self.db.read(**options)) if self.blocking else self.db.read(**options)

    async def run(self, work: Callable[[Any], Any], **options: Any) -> Any:
        """Run ``work``, a coroutine function, on either kind."""
        if not self.blocking:
            return await self.db.run(work, **options)
        return await to_thread(self.db.run, lambda session: asyncio.run(work(SessionFace(session))), **options)


@asynccontextmanager
async def _in_thread(make: Callable[[], AbstractContextManager[Any]]) -> AsyncIterator[SessionFace]:
    manager = await to_thread(make)
    session = await to_thread(manager.__enter__)
    try:
        yield SessionFace(session)
    except BaseException as error:
        if not await to_thread(manager.__exit__, type(error), error, error.__traceback__):
            raise
    else:
        await to_thread(manager.__exit__, None, None, None)
