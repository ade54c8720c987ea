"""AsyncDatabase: the asyncio face of the library, twin of ``database.py``."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar, overload

from onetrip._engine import bridge, budget
from onetrip._engine.factory import open_async
from onetrip.errors import DatabaseError

if TYPE_CHECKING:
    from sqlalchemy import Executable
    from sqlalchemy.ext.asyncio import AsyncEngine
    from sqlmodel.ext.asyncio.session import AsyncSession
    from sqlmodel.sql.expression import SelectOfScalar
    from starlette.requests import HTTPConnection

    from onetrip._core.figures import PoolStats
    from onetrip._core.preamble import Preamble
    from onetrip._engine.answers import Done, Ping
    from onetrip.settings import Settings

T = TypeVar("T")


class AsyncDatabase:
    """Give sessions, single statements and retried units of work on one PostgreSQL database.

    Everything comes from the environment unless a URL or ``settings`` is given. Nothing is connected before the first
    statement. Raises ``ConfigurationError`` for settings that contradict each other.
    """

    def __init__(self, url: str | None = None, *, settings: Settings | None = None) -> None:
        self._runtime = open_async(url, settings)

    @property
    def engine(self) -> AsyncEngine:
        """Return SQLAlchemy's engine, for what this class does not do."""
        return self._runtime.async_engine

    @property
    def settings(self) -> Settings:
        """Return the settings in force."""
        return self._runtime.settings

    def transaction(
        self,
        *,
        isolation: str | None = None,
        statement_timeout: float | None = None,
        role: str | None = None,
        local: Mapping[str, str] | None = None,
    ) -> AbstractAsyncContextManager[AsyncSession]:
        """Open a session that commits when the block ends and rolls back on any exception.

        ``isolation`` is "read committed", "repeatable read" or "serializable"; ``statement_timeout`` is in seconds;
        ``role`` and the settings in ``local`` hold for this transaction alone. Afterwards such a setting is ``''`` on
        this connection, no longer NULL: to a policy, ``''`` must mean nobody. What leaves the block is one of our
        errors; inside it the session raises SQLAlchemy's own.
        """
        wanted = self._runtime.preamble(
            isolation=isolation, statement_timeout=statement_timeout, role=role, local=local
        )
        return self._session(wanted)

    def read(
        self,
        *,
        snapshot: bool = False,
        statement_timeout: float | None = None,
        role: str | None = None,
        local: Mapping[str, str] | None = None,
    ) -> AbstractAsyncContextManager[AsyncSession]:
        """Open a session whose transaction is READ ONLY on the server; with ``snapshot``, REPEATABLE READ as well.

        A write inside raises ``ReadOnlyViolation``.
        """
        wanted = self._runtime.reading(snapshot=snapshot, statement_timeout=statement_timeout, role=role, local=local)
        return self._session(wanted)

    @overload
    async def fetch_one(
        self, statement: SelectOfScalar[T], params: Mapping[str, Any] | None = None, **options: Any
    ) -> T | None: ...
    @overload
    async def fetch_one(
        self, statement: Executable, params: Mapping[str, Any] | None = None, **options: Any
    ) -> Any: ...
    async def fetch_one(self, statement: Any, params: Mapping[str, Any] | None = None, **options: Any) -> Any:
        """Return the row of one reading statement, or None; raise ``TooManyRows`` for a second one.

        ``options`` are those of ``read()``.
        """
        from onetrip._engine import results

        return await self._ask(results.fetch_one, self._runtime.reading(**options), statement, params)

    @overload
    async def fetch_all(
        self, statement: SelectOfScalar[T], params: Mapping[str, Any] | None = None, **options: Any
    ) -> list[T]: ...
    @overload
    async def fetch_all(
        self, statement: Executable, params: Mapping[str, Any] | None = None, **options: Any
    ) -> list[Any]: ...
    async def fetch_all(self, statement: Any, params: Mapping[str, Any] | None = None, **options: Any) -> list[Any]:
        """Return every row of one reading statement; ``options`` are those of ``read()``."""
        from onetrip._engine import results

        return await self._ask(results.fetch_all, self._runtime.reading(**options), statement, params)

    @overload
    async def fetch_value(
        self, statement: SelectOfScalar[T], params: Mapping[str, Any] | None = None, **options: Any
    ) -> T | None: ...
    @overload
    async def fetch_value(
        self, statement: Executable, params: Mapping[str, Any] | None = None, **options: Any
    ) -> Any: ...
    async def fetch_value(self, statement: Any, params: Mapping[str, Any] | None = None, **options: Any) -> Any:
        """Return the first column of the first row, or None; ``options`` are those of ``read()``."""
        from onetrip._engine import results

        return await self._ask(results.fetch_value, self._runtime.reading(**options), statement, params)

    async def execute(
        self, statement: Executable, params: Mapping[str, Any] | list[Any] | None = None, **options: Any
    ) -> Done:
        """Run one writing statement in a transaction of its own; it is committed when this returns.

        ``options`` are those of ``transaction()``.
        """
        from onetrip._engine import results

        return await self._ask(results.execute, self._runtime.preamble(**options), statement, params)

    async def run(self, work: Callable[[AsyncSession], Awaitable[T]], **options: Any) -> T:
        """Run ``await work(session)`` in a transaction and repeat it as a whole when it loses a conflict.

        Serialization failures and deadlocks are repeated, at most five times and within the deadline, so ``work`` must
        do nothing but talk to the database. ``options`` are those of ``transaction()``.
        """
        attempt = 0
        while True:
            attempt += 1
            try:
                async with self.transaction(**options) as session:
                    return await work(session)
            except DatabaseError as error:
                pause = self._runtime.pause(error, attempt)
            await asyncio.sleep(pause)

    async def background(self, work: Callable[..., Awaitable[T]], *args: Any, **kwargs: Any) -> T:
        """Run ``await work(session, *args, **kwargs)`` in a transaction of its own, outside the request's deadline.

        For ``BackgroundTasks``, which run after the response, when the request's own session has ended:
        ``tasks.add_task(db.background, send_welcome, user_id)``.
        """
        with budget.deadline(None):
            async with self.transaction() as session:
                return await work(session, *args, **kwargs)

    @cached_property
    def get_session(self) -> Callable[..., AsyncIterator[AsyncSession]]:
        """Be a dependency: ``Depends(db.get_session)`` commits before the response and rolls back on an exception.

        Called without a request it is a plain generator over ``transaction()``.
        """
        from onetrip._engine.request import injectable

        async def get_session(request: HTTPConnection | None = None) -> AsyncIterator[AsyncSession]:
            if request is None:
                async with self.transaction() as session:
                    yield session
            else:
                yield await self.request_session(request, write=True)

        return injectable(get_session)

    @cached_property
    def write_session(self) -> Any:
        """Be the annotation of a route's parameter: this database's ``WriteSession``."""
        from sqlmodel.ext.asyncio.session import AsyncSession

        from onetrip._engine.request import annotation

        async def write_session(request: HTTPConnection) -> AsyncSession:
            return await self.request_session(request, write=True)

        return annotation(AsyncSession, write_session)

    @cached_property
    def read_session(self) -> Any:
        """Be the annotation of a route's parameter: this database's ``ReadSession``."""
        from sqlmodel.ext.asyncio.session import AsyncSession

        from onetrip._engine.request import annotation

        async def read_session(request: HTTPConnection) -> AsyncSession:
            return await self.request_session(request, write=False)

        return annotation(AsyncSession, read_session)

    async def request_session(self, request: HTTPConnection, *, write: bool) -> AsyncSession:
        """Return the one session of this request, opened on first use and ended with the route function.

        A reader joins a writer; a writer turns a reader's session into one that may write.
        """
        from onetrip._engine.request import request_session
        from onetrip._engine.session import let_become

        mine = request_session(request, self)
        if mine.session is None:
            manager = self.transaction() if write else self.read()
            mine.opened(await manager.__aenter__(), manager)
        elif write and not mine.writes:
            await mine.session.commit()
            let_become(mine.session.sync_session, self._runtime, self._runtime.preamble())
        mine.writes = mine.writes or write
        return mine.session  # type: ignore[no-any-return]

    async def ping(self) -> Ping:
        """Ask the server for its version: proof that the whole way there works."""
        from onetrip._engine import results
        from onetrip._engine.answers import Ping

        began = time.monotonic()
        async with self.read() as session:
            version = await session.run_sync(results.server_version)
        return Ping(time.monotonic() - began, version)

    def stats(self) -> PoolStats:
        """Return the figures of the pool; costs no trip."""
        return self._runtime.stats()

    def recent_failure(self, within: float) -> DatabaseError | None:
        """Return why no connection could be made, if that was less than ``within`` seconds ago; costs no trip."""
        return self._runtime.recent_failure(within)

    def open(self) -> None:
        """Take up work again after ``close()``; connections come on demand."""
        self._runtime.ledger.closed = False

    async def close(self) -> None:
        """Close idle connections at once and those in use when they come back; refuse new work."""
        self._runtime.ledger.closed = True
        await bridge.finish(bridge.in_greenlet(self._runtime.drain))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<AsyncDatabase {self._runtime.where} over {self.settings.driver}>"

    async def _ask(self, take: Callable[..., T], wanted: Preamble, statement: Any, params: Any) -> T:
        from onetrip._engine import results

        if self._runtime.leaves_freely and results.is_plain(statement):
            return await bridge.in_greenlet(results.without_session, self._runtime, wanted, take, statement, params)
        async with self._session(wanted) as session:
            return await session.run_sync(take, statement, params)

    @asynccontextmanager
    async def _session(self, wanted: Preamble) -> AsyncIterator[AsyncSession]:
        from onetrip._engine.session import leave, new_async_session

        session = new_async_session(self._runtime, wanted)
        succeeded = False
        with self._runtime.translating():
            try:
                yield session
                succeeded = True
            finally:
                await leave(session.sync_session, succeeded)
