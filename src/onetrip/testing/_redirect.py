"""Database objects that work on the test's database for a while, the application's own included."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy.ext.asyncio import AsyncEngine

from onetrip._engine.factory import open_async, open_sync
from onetrip._engine.pool import Ledger
from onetrip._engine.runtime import Runtime
from onetrip.aio import AsyncDatabase
from onetrip.database import Database
from onetrip.settings import Settings
from onetrip.testing._databases import settings_for
from onetrip.testing._dialect import shared_engine
from onetrip.testing._loops import drain_with_loop, terminate_idle
from onetrip.testing._seat import Seat

if TYPE_CHECKING:
    from sqlalchemy import Engine


class OneTransaction:
    """Let databases work inside the one transaction of a test."""

    def __init__(self, url: str, settings: Settings) -> None:
        driver = "psycopg2" if settings.driver == "psycopg2" else "psycopg"
        # Nobody is to lose the transaction of a test to a breakpoint; and the seat itself says when it begins and ends.
        direct = settings_for(settings, url, driver=driver, idle_in_transaction_timeout=0, one_trip=False)
        self._runtime, self._engine = open_sync(None, direct)
        self.seat = Seat(self._connect)
        self._sync = shared_engine(self.seat, driver, asynchronous=False)
        self._async = shared_engine(self.seat, driver, asynchronous=True)

    def _connect(self) -> Any:
        with self._runtime.translating():
            fairy = self._engine.raw_connection()
        connection = fairy.driver_connection
        fairy.detach()
        return connection

    def replacement(self, database: Database | AsyncDatabase) -> tuple[Runtime, Engine | AsyncEngine]:
        """Return what the database is to work on."""
        asynchronous = isinstance(database, AsyncDatabase)
        engine = self._async if asynchronous else self._sync
        runtime = Runtime(database.settings, engine, Ledger(), self._runtime.where, timeouts_at_startup=True)
        return runtime, AsyncEngine(engine) if asynchronous else engine

    def release(self, runtime: Runtime) -> None:
        """Keep the connection: it is the worker's."""

    def close(self) -> None:
        """Close the connection."""
        self.seat.close()
        self._engine.dispose()


class RealCommits:
    """Let databases work on another database with pools and drivers of their own.

    ``keep_idle`` lets connections rest in the pool, as in production, until the test or its event loop ends.
    """

    def __init__(self, url: str, *, keep_idle: bool = False) -> None:
        self._url = url
        self._keep_idle = keep_idle

    def replacement(self, database: Database | AsyncDatabase) -> tuple[Runtime, Engine | AsyncEngine]:
        """Return what the database is to work on."""
        settings = settings_for(database.settings, self._url)
        if not isinstance(database, AsyncDatabase):
            runtime, engine = open_sync(None, settings)
            runtime.ledger.keep_idle = self._keep_idle
            return runtime, engine
        runtime, async_engine = open_async(None, settings)
        runtime.ledger.keep_idle = self._keep_idle
        if self._keep_idle:
            # A connection that rests in a pool would belong to an event loop that ends with the test.
            drain_with_loop(runtime)
        return runtime, async_engine

    def release(self, runtime: Runtime) -> None:
        """Close what still rests in the pool."""
        if runtime.engine.dialect.is_async:
            terminate_idle(runtime)
        else:
            runtime.drain()


@contextmanager
def redirected(target: OneTransaction | RealCommits, *databases: Database | AsyncDatabase) -> Iterator[None]:
    """Have Database objects work on ``target`` for the time of the block."""
    before = [{name: vars(database)[name] for name in ("_runtime", "_engine")} for database in databases]
    try:
        for database in databases:
            runtime, engine = target.replacement(database)
            vars(database).update(_runtime=runtime, _engine=engine)
        yield
    finally:
        for database, own in zip(databases, before, strict=True):
            if (runtime := database._runtime) is not own["_runtime"]:  # noqa: SLF001
                target.release(runtime)
            vars(database).update(own)
