"""psycopg 3, sync and async, as SQLAlchemy sees it."""

from __future__ import annotations

import asyncio
from typing import Any

from sqlalchemy.dialects.postgresql.psycopg import (
    AsyncAdapt_psycopg_connection,
    PGDialect_psycopg,
    PGDialectAsync_psycopg,
)
from sqlalchemy.util import await_

from onetrip._engine.dialects.base import TripDialect
from onetrip._engine.dialects.psycopg_connection import (
    AsyncTripConnection,
    AsyncTripCursor,
    TripConnection,
    TripCursor,
)


class _Adapted(AsyncAdapt_psycopg_connection):
    """Be SQLAlchemy's adapter; a ROLLBACK that only has to be noted is not awaited."""

    __slots__ = ()
    _connection: AsyncTripConnection

    def enter_loop(self) -> bool:
        """Go on in another event loop: only locks belong to the one they were waited for in."""
        self._execute_mutex = asyncio.Lock()
        self._connection.lock = asyncio.Lock()
        return True

    def rollback(self) -> None:
        if not self._connection.leave():
            super().rollback()

    def terminate(self) -> None:
        """Close the connection without waiting for anything: a cancellation in here would cost the pool a place."""
        self._connection.drop()


class TripPsycopg(TripDialect, PGDialect_psycopg):
    """Be SQLAlchemy's dialect for psycopg, on the network floor.

    ``use_native_hstore`` is off: switched on, it asks the server for a type first. Columns of type HSTORE give
    dictionaries all the same; only a textual statement sees the difference.
    """

    supports_statement_cache = True

    def __init__(self, *, use_native_hstore: bool = False, **options: Any) -> None:
        super().__init__(use_native_hstore=use_native_hstore, **options)  # type: ignore[no-untyped-call]

    @classmethod
    def get_async_dialect_cls(cls, url: Any) -> type:  # noqa: ARG003
        return AsyncTripPsycopg

    def connect(self, *arguments: Any, **options: Any) -> Any:
        options.setdefault("cursor_factory", TripCursor)
        return TripConnection.connect(*arguments, **options)


class AsyncTripPsycopg(TripDialect, PGDialectAsync_psycopg):
    """Be SQLAlchemy's asyncio dialect for psycopg, on the network floor."""

    supports_statement_cache = True
    has_terminate = True

    def __init__(self, *, use_native_hstore: bool = False, **options: Any) -> None:
        super().__init__(use_native_hstore=use_native_hstore, **options)  # type: ignore[no-untyped-call]

    def connect(self, *arguments: Any, **options: Any) -> Any:
        options.setdefault("cursor_factory", AsyncTripCursor)
        creator = options.pop("async_creator_fn", AsyncTripConnection.connect)
        return await_(_Adapted.create(self.loaded_dbapi, creator(*arguments, **options)))

    def do_terminate(self, dbapi_connection: Any) -> None:
        dbapi_connection.terminate()

    def pay(self, dbapi_connection: Any) -> None:
        await_(dbapi_connection.driver_connection.pay())
