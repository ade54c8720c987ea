"""Which pooled connections are still good: looked at when they are handed out, never while they rest.

A connection that is idle on the client is idle on the server: nothing is sent to it, because a query would keep a
serverless compute awake and cost its owner money.
"""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Any

from sqlalchemy import event
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.pool import QueuePool

if TYPE_CHECKING:
    from sqlalchemy import Engine
    from sqlalchemy.engine.interfaces import DBAPIConnection
    from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

    from onetrip._engine.pool import Ledger
    from onetrip.settings import Settings

TRUSTED = 5.0
"""Seconds after its last use for which a connection is handed out without a look."""
JITTER = 0.1
"""The share of its lifetime by which a connection may be retired early, so that a pool does not reconnect at once."""


class Retired(DisconnectionError):
    """Tell the pool to replace a connection on its way out, and the ledger why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def how_text_is_written(connection: Any) -> tuple[str | None, ...]:
    """Return the settings by which client and server read each other's text, as the server last reported them.

    Who leaves them changed on a connection turns the next user's values into others, or into SQL: psycopg2 decides
    how to quote when it connects, and asyncpg loses text that is not in UTF-8 (both seen). Costs no trip.
    """
    names = ("client_encoding", "standard_conforming_strings")
    if hasattr(connection, "get_settings"):
        return tuple(getattr(connection.get_settings(), name, None) for name in names)
    return tuple(connection.info.parameter_status(name) for name in names)


class Liveness:
    """Listen to a pool: retire connections on their way out, and keep its ledger."""

    def __init__(self, engine: Engine, settings: Settings, ledger: Ledger) -> None:
        self._engine = engine
        self._settings = settings
        self._ledger = ledger
        for moment in ("connect", "checkout", "checkin", "invalidate", "close"):
            event.listen(engine, moment, getattr(self, moment))

    def connect(self, _connection: DBAPIConnection, record: ConnectionPoolEntry) -> None:
        """Give a new connection its date of expiry."""
        now = time.monotonic()
        lifetime = self._settings.pool_lifetime * (1 - JITTER * random.random())
        record.info.update({"onetrip.new": True, "onetrip.used": now, "onetrip.expires": now + lifetime})
        self._ledger.count("opened")

    def checkout(self, connection: DBAPIConnection, record: ConnectionPoolEntry, _proxy: PoolProxiedConnection) -> None:
        """Retire a connection that is too old, rested too long, is dead, or was left with another way to write text."""
        now = time.monotonic()
        written = how_text_is_written(record.driver_connection)
        if record.info.pop("onetrip.new", False):
            record.info["onetrip.written"] = written
        elif written != record.info["onetrip.written"]:
            raise Retired("changed")
        else:
            self._judge(connection, record, now)
        record.info["onetrip.out"] = now

    def _judge(self, connection: DBAPIConnection, record: ConnectionPoolEntry, now: float) -> None:
        idle = now - record.info["onetrip.used"]
        if now > record.info["onetrip.expires"]:
            raise Retired("lifetime")
        if idle > self._settings.pool_idle and self._above_floor():
            raise Retired("idle")
        if idle > TRUSTED and not self._answers(connection):
            raise Retired("dead")

    def checkin(self, _connection: DBAPIConnection | None, record: ConnectionPoolEntry) -> None:
        """Note how long the connection was out."""
        now = time.monotonic()
        record.info["onetrip.used"] = now
        out = record.info.pop("onetrip.out", None)
        if out is not None:
            self._ledger.held(now - out)

    def invalidate(
        self, _connection: DBAPIConnection, record: ConnectionPoolEntry, error: BaseException | None
    ) -> None:
        """Remember why the connection is thrown away."""
        record.info["onetrip.reason"] = error.reason if isinstance(error, Retired) else "lost"

    def close(self, _connection: DBAPIConnection, record: ConnectionPoolEntry) -> None:
        """Count the connection that is gone."""
        self._ledger.discarded(record.info.pop("onetrip.reason", "closed"))

    def _above_floor(self) -> bool:
        pool = self._engine.pool
        assert isinstance(pool, QueuePool)
        return pool.checkedin() + pool.checkedout() > self._settings.pool_min

    def _answers(self, connection: DBAPIConnection) -> bool:
        try:
            return bool(self._engine.dialect.do_ping(connection))
        except self._engine.dialect.loaded_dbapi.Error:
            return False
