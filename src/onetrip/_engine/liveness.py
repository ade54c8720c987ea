"""Which pooled connections are still good: looked at when they are handed out, never while they rest.

A connection that is idle on the client is idle on the server: nothing is sent to it, because a query would keep a
serverless compute awake and cost its owner money.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from sqlalchemy import event
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.pool import QueuePool

from onetrip._engine import forked
from onetrip._engine.dialects.base import TripDialect
from onetrip._engine.dialects.trip import trip_of
from onetrip._engine.moments import moment, rested

if TYPE_CHECKING:
    from sqlalchemy import Engine
    from sqlalchemy.engine.interfaces import DBAPIConnection
    from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

    from onetrip._engine.pool import Ledger
    from onetrip.settings import Settings

TRUSTED = 5.0
"""Seconds after its last use for which a stock dialect's connection is handed out without asking the server."""
HELD = 0.05
"""Seconds after which a pooler gets its server connection back, however many transactions still follow each other."""
JITTER = 0.1
"""The share of its lifetime by which a connection may be retired early, so that a pool does not reconnect at once."""


class Retired(DisconnectionError):
    """Tell the pool to replace a connection on its way out, and the ledger why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def how_text_is_written(connection: Any) -> tuple[object, ...]:
    """Return the settings by which client and server read each other's text, as the server last reported them.

    Who leaves them changed on a connection turns the next user's values into others, or into SQL: psycopg2 decides
    how to quote when it connects, and asyncpg loses text that is not in UTF-8 (both seen). Costs no trip.
    """
    if (pgconn := getattr(connection, "pgconn", None)) is not None:
        return pgconn.parameter_status(b"client_encoding"), pgconn.parameter_status(b"standard_conforming_strings")
    names = ("client_encoding", "standard_conforming_strings")
    if hasattr(connection, "get_settings"):
        return tuple(getattr(connection.get_settings(), name, None) for name in names)
    return tuple(connection.info.parameter_status(name) for name in names)


class Liveness:
    """Listen to a pool: retire connections on their way out, and keep its ledger."""

    def __init__(
        self, engine: Engine, settings: Settings, ledger: Ledger, *, floor: int, pays_at_once: bool, shared: bool
    ) -> None:
        self._engine = engine
        self._settings = settings
        self._ledger = ledger
        self._floor = floor
        self._pays_at_once = pays_at_once
        self._shared = shared
        self._trips = isinstance(engine.dialect, TripDialect)
        self._left_behind: list[Any] = []
        for name in ("connect", "checkout", "checkin", "invalidate", "close"):
            event.listen(engine, name, getattr(self, name))

    def connect(self, _connection: DBAPIConnection, record: ConnectionPoolEntry) -> None:
        """Give a new connection its date of expiry, and its home: the process and event loop that it works in."""
        lifetime = self._settings.pool_lifetime * (1 - JITTER * random.random())
        record.info.update(
            {"onetrip.new": True, "onetrip.used": moment(), "onetrip.born": moment(), "onetrip.lifetime": lifetime}
        )
        record.info["onetrip.home"] = self._home()
        if self._pays_at_once and (trip := trip_of(record.dbapi_connection)):
            trip.settled_at_checkin = True
        forked.connected.add(record)
        self._ledger.count("opened")

    def _home(self) -> tuple[int, Any]:
        return os.getpid(), asyncio.get_running_loop() if self._engine.dialect.is_async else None

    def checkout(self, connection: DBAPIConnection, record: ConnectionPoolEntry, _proxy: PoolProxiedConnection) -> None:
        """Retire a connection that is too old, rested too long, is dead, or was left with another way to write text."""
        if record.info["onetrip.home"] != (home := self._home()):
            self._move(connection, record, home)
        new = record.info.pop("onetrip.new", False)
        if not new:
            self._judge(connection, record)
        try:
            written = how_text_is_written(record.driver_connection)
        except self._engine.dialect.loaded_dbapi.Error:
            raise Retired("dead") from None  # closed on our side
        if written != record.info.setdefault("onetrip.written", written):
            raise Retired("changed")
        if self._shared:
            self._lend(connection, record)
        record.info["onetrip.out"] = time.monotonic()

    def _lend(self, connection: DBAPIConnection, record: ConnectionPoolEntry) -> None:
        """Let a pooler serve others: where each ROLLBACK rides with the next BEGIN, it never gets a chance to."""
        trip, now = trip_of(connection), time.monotonic()
        if trip is None or not trip.owes_rollback:
            record.info["onetrip.since"] = now
        elif now - record.info["onetrip.since"] > HELD:
            record.info["onetrip.since"] = now
            try:
                self._engine.dialect.pay(connection)  # type: ignore[attr-defined]
            except (self._engine.dialect.loaded_dbapi.Error, OSError) as error:
                raise Retired("dead") from error

    def _move(self, connection: DBAPIConnection, record: ConnectionPoolEntry, home: tuple[int, Any]) -> None:
        """Take a connection along into another event loop, or leave it: to the parent process, or to its loop."""
        same_process = record.info["onetrip.home"][0] == home[0]
        if same_process and getattr(connection, "enter_loop", lambda: False)():
            record.info["onetrip.home"] = home
            return
        if not self._trips and same_process:
            return
        if same_process and hasattr(connection, "abandon"):
            connection.abandon()
        else:  # not closed: the other side of it is still in use
            self._left_behind.append(connection)
        record.dbapi_connection = None  # type: ignore[misc]
        self._ledger.discarded("left behind")
        raise Retired("left behind")

    def _judge(self, connection: DBAPIConnection, record: ConnectionPoolEntry) -> None:
        idle = rested(record.info["onetrip.used"])
        if rested(record.info["onetrip.born"]) > record.info["onetrip.lifetime"]:
            raise Retired("lifetime")
        if idle > self._settings.pool_idle and self._above_floor():
            raise Retired("idle")
        # Ours only looks; a stock dialect asks the server, which costs a trip.
        if (self._trips or idle > TRUSTED) and not self._answers(connection):
            raise Retired("dead")

    def checkin(self, connection: DBAPIConnection | None, record: ConnectionPoolEntry) -> None:
        """Note how long the connection was out."""
        if self._pays_at_once and self._trips and connection is not None:
            # What goes wrong here shows at the next checkout; raised, it would cost the pool this place.
            with suppress(self._engine.dialect.loaded_dbapi.Error, OSError):
                self._engine.dialect.pay(connection)  # type: ignore[attr-defined]
        record.info["onetrip.used"] = now = moment()
        out = record.info.pop("onetrip.out", None)
        if out is not None:
            self._ledger.held(now[0] - out)

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
        return pool.checkedin() + pool.checkedout() > self._floor

    def _answers(self, connection: DBAPIConnection) -> bool:
        try:
            return bool(self._engine.dialect.do_ping(connection))
        except self._engine.dialect.loaded_dbapi.Error:
            return False
