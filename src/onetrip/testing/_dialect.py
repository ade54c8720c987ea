"""SQLAlchemy's dialects over a share of the test's connection, with a blocking and an asyncio face."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.dialects.postgresql.psycopg2 import PGDialect_psycopg2
from sqlalchemy.engine.default import DefaultDialect

from onetrip._engine import bridge
from onetrip._engine.pool import AsyncTripPool, Ledger, TripPool
from onetrip._engine.session import TripSession
from onetrip.testing._seat import Seat, Share

if TYPE_CHECKING:
    from sqlalchemy import Connection
    from sqlalchemy.orm import SessionTransaction
    from sqlalchemy.pool import ConnectionPoolEntry


class _Shared(DefaultDialect):
    """Take what is true of the connection from the connection, and leave it as its own dialect set it up.

    A share has its say here rather than in its cursor: what is raised there, SQLAlchemy wraps.
    """

    def do_begin(self, dbapi_connection: Any) -> None:
        dbapi_connection.dbapi_connection.announced = True

    def do_execute(self, cursor: Any, statement: Any, parameters: Any, context: Any = None) -> None:
        _take_turn(context)
        cursor.execute(statement, parameters)

    def do_executemany(self, cursor: Any, statement: Any, parameters: Any, context: Any = None) -> None:
        _take_turn(context)
        super().do_executemany(cursor, statement, parameters, context)  # type: ignore[no-untyped-call]

    def do_execute_no_params(self, cursor: Any, statement: Any, context: Any = None) -> None:
        _take_turn(context)
        cursor.execute(statement)

    def get_driver_connection(self, connection: Any) -> Any:
        return connection.real

    def on_connect(self) -> None:
        return None


class _Awaiting(_Shared):
    """Be asynchronous for those who ask, above all SQLAlchemy's asyncio extension."""

    is_async = True


class SharedPsycopg(_Shared, PGDialect_psycopg):
    """psycopg over a share."""

    supports_statement_cache = True


class SharedPsycopg2(_Shared, PGDialect_psycopg2):
    """psycopg2 over a share."""

    supports_statement_cache = True


class AwaitingPsycopg(_Awaiting, PGDialect_psycopg):
    """psycopg over a share, for AsyncDatabase."""

    supports_statement_cache = True


class AwaitingPsycopg2(_Awaiting, PGDialect_psycopg2):
    """psycopg2 over a share, for AsyncDatabase."""

    supports_statement_cache = True


def _take_turn(context: Any) -> None:
    context.root_connection.connection.dbapi_connection.take_turn()


for _class in (SharedPsycopg, SharedPsycopg2, AwaitingPsycopg, AwaitingPsycopg2):
    registry.register(f"postgresql.onetrip_{_class.__name__.lower()}", __name__, _class.__name__)


class SharingPool(TripPool):
    """Make a share for everyone who asks: whose turn it is, the seat decides."""

    ledger = Ledger()

    def _do_get(self) -> ConnectionPoolEntry:
        return self._create_connection()

    def _do_return_conn(self, record: ConnectionPoolEntry) -> None:
        record.close()


class AwaitingPool(SharingPool, AsyncTripPool):
    """Be the same pool for asyncio."""


def shared_engine(seat: Seat, driver: str, *, asynchronous: bool) -> Engine:
    """Return an engine whose every connection is a share of ``seat``."""
    face, pool = ("awaiting", AwaitingPool) if asynchronous else ("shared", SharingPool)
    pause = _await_pause if asynchronous else time.sleep
    return create_engine(f"postgresql+onetrip_{face}{driver}://", creator=lambda: Share(seat, pause), poolclass=pool)


def _await_pause(seconds: float) -> None:
    # Awaited even for zero seconds: a lazy load outside of a greenlet must fail here as it does in production.
    bridge.wait_for(asyncio.sleep(seconds))


@event.listens_for(TripSession, "after_begin")
def _remember_settings(session: TripSession, transaction: SessionTransaction, connection: Connection) -> None:
    share = connection.connection.dbapi_connection
    if isinstance(share, Share) and not transaction.nested:
        share.settings = session.preamble.settings
