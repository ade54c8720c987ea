"""Which pooled connections are still good: looked at when they are handed out, never while they rest.

A connection that is idle on the client is idle on the server: nothing is sent to it, because a query would keep a
serverless compute awake and cost its owner money.
"""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

from sqlalchemy import event
from sqlalchemy.exc import DisconnectionError

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


def watch(engine: Engine, settings: Settings, ledger: Ledger) -> None:
    """Attach the listeners that retire connections and keep the ledger."""

    def connect(_connection: DBAPIConnection, record: ConnectionPoolEntry) -> None:
        now = time.monotonic()
        lifetime = settings.pool_lifetime * (1 - JITTER * random.random())
        record.info.update({"onetrip.used": now, "onetrip.expires": now + lifetime})
        ledger.count("opened")

    def checkout(connection: DBAPIConnection, record: ConnectionPoolEntry, _proxy: PoolProxiedConnection) -> None:
        now = time.monotonic()
        idle = now - record.info["onetrip.used"]
        if now > record.info["onetrip.expires"]:
            raise Retired("lifetime")
        if idle > settings.pool_idle:
            raise Retired("idle")
        if idle > TRUSTED and not _answers(engine, connection):
            raise Retired("dead")
        record.info["onetrip.out"] = now

    def checkin(_connection: DBAPIConnection | None, record: ConnectionPoolEntry) -> None:
        now = time.monotonic()
        out = record.info.pop("onetrip.out", None)
        record.info["onetrip.used"] = now
        if out is not None:
            ledger.held(now - out)

    def invalidate(_connection: DBAPIConnection, record: ConnectionPoolEntry, error: BaseException | None) -> None:
        record.info["onetrip.reason"] = error.reason if isinstance(error, Retired) else "lost"

    def close(_connection: DBAPIConnection, record: ConnectionPoolEntry) -> None:
        ledger.discarded(record.info.pop("onetrip.reason", "closed"))

    for name, listener in (
        ("connect", connect),
        ("checkout", checkout),
        ("checkin", checkin),
        ("invalidate", invalidate),
        ("close", close),
    ):
        event.listen(engine, name, listener)


def _answers(engine: Engine, connection: DBAPIConnection) -> bool:
    try:
        return bool(engine.dialect.do_ping(connection))
    except engine.dialect.loaded_dbapi.Error:
        return False
