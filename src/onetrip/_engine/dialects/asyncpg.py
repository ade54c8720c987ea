"""asyncpg, as SQLAlchemy sees it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import asyncpg
from sqlalchemy.dialects.postgresql.asyncpg import (
    AsyncAdapt_asyncpg_connection,
    AsyncAdapt_asyncpg_cursor,
    AsyncAdapt_asyncpg_dbapi,
    AsyncAdapt_asyncpg_ss_cursor,
    PGDialect_asyncpg,
)
from sqlalchemy.util import await_
from sqlalchemy.util.concurrency import in_greenlet

from onetrip._engine import bridge
from onetrip._engine.dialects.asyncpg_connection import TripConnection, close_without_loop, looks_alive
from onetrip._engine.dialects.base import TripDialect
from onetrip._engine.dialects.harmless import harmless
from onetrip._engine.dialects.replay import READ_ONLY
from onetrip._engine.dialects.trip import trip_of

PLAIN = ("BEGIN",)
"""The opening that any single statement may do without: it is a transaction by itself."""


class _Cursor(AsyncAdapt_asyncpg_cursor):
    """Be SQLAlchemy's cursor; it says when a transaction's first statement was answered."""

    __slots__ = ()
    _adapt_connection: Adapted

    async def _prepare_and_execute(self, operation: Any, parameters: Any) -> None:
        with self._adapt_connection.answering():
            await super()._prepare_and_execute(operation, parameters)  # type: ignore[no-untyped-call]

    async def _executemany(self, operation: Any, seq_of_parameters: Any) -> Any:
        with self._adapt_connection.answering():
            return await super()._executemany(operation, seq_of_parameters)  # type: ignore[no-untyped-call]


class _ServerSideCursor(AsyncAdapt_asyncpg_ss_cursor, _Cursor):
    """Be the same over a portal on the server."""

    __slots__ = ()


class Adapted(AsyncAdapt_asyncpg_connection):
    """Be SQLAlchemy's adapter; what opens a transaction is one trip, with the ROLLBACK of the one before."""

    __slots__ = ("is_set_up", "loop", "process")
    _cursor_cls = _Cursor
    _ss_cursor_cls = _ServerSideCursor
    _connection: Any

    def __init__(self, dbapi: Any, connection: TripConnection, **options: Any) -> None:
        super().__init__(dbapi, connection, **options)  # type: ignore[no-untyped-call]
        self._execute_mutex = connection.lock
        self.loop = asyncio.get_running_loop()
        self.process = os.getpid()
        self.is_set_up = False
        """Types are registered, which takes trips."""

    async def _start_transaction(self) -> None:
        connection, trip = self._connection, self._connection.trip
        alone, trip.ending = bool(trip.ending), None
        if alone or self.isolation_level == "autocommit":
            trip.opening_lost = alone and trip.opening is not None and "READ ONLY" in trip.opening[0]
            if trip.owes_rollback:
                await self._send()
            return
        trip.opening_lost = True
        # Before the statement is prepared: a statement that was takes the snapshot (25001 for an isolation level).
        await self._send(*(trip.opening or (self._begin(),)))
        self._transaction = connection.begun()

    def _begin(self) -> str:
        level = f" ISOLATION LEVEL {self.isolation_level.replace('_', ' ').upper()}" if self.isolation_level else ""
        return "BEGIN" + level + " READ ONLY" * self.readonly + " DEFERRABLE" * self.deferrable

    async def _send(self, *commands: str) -> None:
        try:
            await self._connection.send(*commands)
        except Exception as error:  # noqa: BLE001  translated there
            self._handle_exception(error)

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Note that the first statement was answered, unless the connection is lost meanwhile."""
        connection = self._connection
        try:
            yield
        except BaseException as error:
            if not connection.is_closed():
                connection.trip.opening_lost = False
                if self._transaction is None and not _said_by_server(error):
                    # Prepared and not executed: the server waits in a transaction that nobody began.
                    connection.leave()
            raise
        connection.trip.opening_lost = False

    def _handle_exception(self, error: Exception) -> NoReturn:
        if isinstance(error, OSError) and self._connection.is_closed():
            raise self.dbapi.OperationalError(str(error) or type(error).__name__, error) from error
        super()._handle_exception(error)

    def commit(self) -> None:
        """Commit, and wait for the answer; nothing where no statement was sent."""
        if self._transaction is not None:
            try:
                await_(self._commit())
            except Exception as error:  # noqa: BLE001  translated there
                self._handle_exception(error)
        self._connection.trip.forget()

    async def _commit(self) -> None:
        self._transaction = self._connection._top_xact = None
        await self._connection.send("COMMIT")

    def rollback(self) -> None:
        """Owe a ROLLBACK; nothing is sent, and nothing awaited."""
        self._connection.trip.forget()
        if self._transaction is not None:
            self._transaction = None
            self._connection.leave()

    def start_anew(self) -> None:
        """Leave the transaction that its first statement ruined; the next statement opens it again."""
        if self._transaction is not None:
            self._transaction = None
            self._connection.leave()

    def close(self) -> None:
        """Close the connection, in order where its event loop still runs."""
        if self._is_at_home():
            super().close()  # type: ignore[no-untyped-call]
        else:
            self.abandon()

    def terminate(self) -> None:
        """Close the connection at once; what it was cancelled in stops on the server, too."""
        if not self._is_at_home():
            return self.abandon()
        if not in_greenlet():
            return self._terminate_force_close()
        try:
            # In a task of its own: anyio cancels every await of a cancelled scope, and asyncpg the request to cancel.
            await_(bridge.finish(self._terminate_graceful_close()))
        except (TimeoutError, asyncio.CancelledError, OSError, asyncpg.PostgresError) as error:
            self._terminate_force_close()
            if isinstance(error, asyncio.CancelledError):
                raise

    def _is_at_home(self) -> bool:
        try:
            return asyncio.get_running_loop() is self.loop
        except RuntimeError:
            return False

    def abandon(self) -> None:
        """Close the connection from outside its event loop, which may be closed, or run in another thread."""
        if self.process != os.getpid():
            return  # it is still the parent's, whose server would take our farewell for its own
        if self.loop.is_running():
            self.loop.call_soon_threadsafe(self._connection.terminate)
        else:
            close_without_loop(self._connection)

    def take_over(self, old: Adapted) -> None:
        """Go on with the transaction of a connection that was lost before its first answer."""
        for name in ("isolation_level", "_isolation_setting", "readonly", "deferrable"):
            setattr(self, name, getattr(old, name))
        self._connection.trip.opening = old._connection.trip.opening


class _Dbapi(AsyncAdapt_asyncpg_dbapi):
    """Be SQLAlchemy's DBAPI module for asyncpg; connections that somebody else makes get SQLAlchemy's own adapter."""

    def connect(self, *arguments: Any, **options: Any) -> Any:
        creator = options.pop("async_creator_fn", None)
        ours = {name: options.pop(name) for name in tuple(options) if name.startswith("prepared_statement_")}
        if creator is None:
            options.setdefault("connection_class", TripConnection)
            creator = asyncpg.connect
        return await_(self._adapted(creator(*arguments, **options), ours))

    async def _adapted(self, connecting: Any, options: dict[str, Any]) -> Any:
        try:
            connection = await connecting
        except Exception as error:  # noqa: BLE001  translated there
            Adapted._handle_exception_no_connection(self, error)
        # Not isinstance(): asyncpg takes each of its connections for an instance of any subclass.
        kind = Adapted if issubclass(type(connection), TripConnection) else AsyncAdapt_asyncpg_connection
        return kind(self, connection, **options)


class TripAsyncpg(TripDialect, PGDialect_asyncpg):
    """Be SQLAlchemy's dialect for asyncpg, on the network floor.

    Through a connection that comes from ``async_creator`` or is of a ``connection_class`` of yours it works as
    SQLAlchemy's own does: nothing there keeps whoever calls asyncpg directly out of a transaction that is over.
    """

    supports_statement_cache = True

    @classmethod
    def import_dbapi(cls) -> Any:
        return _Dbapi(asyncpg)  # type: ignore[no-untyped-call]

    def connect(self, *arguments: Any, **options: Any) -> Any:
        connection: Any = super().connect(*arguments, **options)
        # Here, not in the pool's event: a connection that dies meanwhile is one that could not be made.
        if isinstance(connection, Adapted):
            try:
                self.on_connect()(connection)
            except BaseException as error:
                connection.terminate()
                if isinstance(error, Exception):
                    connection._handle_exception(error)
                raise
            connection.is_set_up = True
        return connection

    def on_connect(self) -> Any:
        set_up = super().on_connect()  # type: ignore[no-untyped-call]

        def on_connect(connection: Any) -> None:
            if not getattr(connection, "is_set_up", False):
                set_up(connection)

        return on_connect

    def server_version(self, connection: Any) -> int:
        version = connection.get_server_version()
        return int(version.major * 10_000 + version.micro)

    def parameter_status(self, connection: Any, name: str) -> str | None:
        return getattr(connection.get_settings(), name, None)

    def unset_isolation_level(self, dbapi_connection: Any) -> None:
        dbapi_connection.set_isolation_level(None)

    def do_ping(self, dbapi_connection: Any) -> bool:
        return looks_alive(dbapi_connection.driver_connection)

    def ending_of(self, context: Any) -> str | None:
        """Return COMMIT where a statement may be its own transaction; elsewhere nothing rides behind one."""
        ending = super().ending_of(context)
        trip = trip_of(context.root_connection.connection.dbapi_connection) if ending else None
        if trip is None:
            return None
        alone = trip.opening == PLAIN or (trip.opening == READ_ONLY and harmless(context.compiled))
        return ending if alone else None

    def pay(self, dbapi_connection: Any) -> None:
        try:
            await_(dbapi_connection.driver_connection.pay())
        except Exception as error:  # noqa: BLE001  translated there
            dbapi_connection._handle_exception(error)

    def take_over(self, new: Any, lost: Any) -> None:
        new.take_over(lost)

    def _with_replay(self, perform: Any, cursor: Any, arguments: tuple[Any, ...], context: Any) -> None:
        adapted = cursor._adapt_connection
        first = isinstance(adapted, Adapted) and adapted._transaction is None
        try:
            super()._with_replay(perform, cursor, arguments, context)
        except self.loaded_dbapi.InvalidCachedStatementError:
            if not first or context is None:
                raise
            # A migration went by. Nothing but this statement was in the transaction: it opens anew, and plans anew.
            self._invalidate_schema_cache()  # type: ignore[no-untyped-call]
            context.pre_exec()
            adapted.start_anew()
            super()._with_replay(perform, cursor, arguments, context)


def _said_by_server(error: BaseException) -> bool:
    # Not by its SQLSTATE: asyncpg raises the server's classes for what it refuses itself.
    return getattr(getattr(error, "orig", None) or error, "severity", None) is not None
