"""Database objects that work on the test's database for a while, the application's own included."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

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


class OneTransaction:
    """Let databases work inside the one transaction of a test."""

    def __init__(self, url: str, settings: Settings) -> None:
        driver = "psycopg2" if settings.driver == "psycopg2" else "psycopg"
        # Nobody is to lose the transaction of a test to a breakpoint; and the seat itself says when it begins and ends.
        direct = settings_for(settings, url, driver=driver, idle_in_transaction_timeout=0, one_trip=False)
        self._runtime = open_sync(None, direct)
        self.seat = Seat(self._connect)
        self._sync = shared_engine(self.seat, driver, asynchronous=False)
        self._async = shared_engine(self.seat, driver, asynchronous=True)

    def _connect(self) -> Any:
        with self._runtime.translating():
            fairy = self._runtime.engine.raw_connection()
        connection = fairy.driver_connection
        fairy.detach()
        return connection

    def replacement(self, database: Database | AsyncDatabase) -> Runtime:
        """Return what the database is to work on."""
        engine = self._async if isinstance(database, AsyncDatabase) else self._sync
        return Runtime(database.settings, engine, Ledger(), self._runtime.where, timeouts_at_startup=True)

    def release(self, runtime: Runtime) -> None:
        """Keep the connection: it is the worker's."""

    def close(self) -> None:
        """Close the connection."""
        self.seat.close()
        self._runtime.engine.dispose()


class RealCommits:
    """Let databases work on another database with pools and drivers of their own.

    ``keep_idle`` lets connections rest in the pool, as in production, until the test or its event loop ends.
    """

    def __init__(self, url: str, *, keep_idle: bool = False) -> None:
        self._url = url
        self._keep_idle = keep_idle

    def replacement(self, database: Database | AsyncDatabase) -> Runtime:
        """Return what the database is to work on."""
        settings = settings_for(database.settings, self._url)
        asynchronous = isinstance(database, AsyncDatabase)
        runtime = (open_async if asynchronous else open_sync)(None, settings)
        runtime.ledger.keep_idle = self._keep_idle
        if asynchronous and self._keep_idle:
            # A connection that rests in a pool would belong to an event loop that ends with the test.
            drain_with_loop(runtime)
        return runtime

    def release(self, runtime: Runtime) -> None:
        """Close what still rests in the pool."""
        if runtime.engine.dialect.is_async:
            terminate_idle(runtime)
        else:
            runtime.drain()


@contextmanager
def redirected(target: OneTransaction | RealCommits, *databases: Database | AsyncDatabase) -> Iterator[None]:
    """Have Database objects work on ``target`` for the time of the block."""
    before = [database._runtime for database in databases]  # noqa: SLF001
    try:
        for database in databases:
            database._runtime = target.replacement(database)  # noqa: SLF001
        yield
    finally:
        for database, own in zip(databases, before, strict=True):
            if (runtime := database._runtime) is not own:  # noqa: SLF001
                target.release(runtime)
            database._runtime = own  # noqa: SLF001
