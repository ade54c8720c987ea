"""The pool: SQLAlchemy's queue pool, with a line that knows the caller's deadline and figures worth reading."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections import Counter, deque
from typing import TYPE_CHECKING, Any

from sqlalchemy.pool import AsyncAdaptedQueuePool, ConnectionPoolEntry, QueuePool
from sqlalchemy.pool.base import _ConnectionRecord
from sqlalchemy.util import queue
from sqlalchemy.util.queue import AsyncAdaptedQueue

from onetrip._core.deadline import sooner
from onetrip._engine import budget
from onetrip._engine.idle import Sweeper
from onetrip._engine.moments import LONG_AGO, rested
from onetrip.errors import DatabaseBusy, DatabaseClosed, DeadlineExceeded

if TYPE_CHECKING:
    from onetrip._core.figures import PoolStats

REMEMBERED = 1000


class Ledger:
    """Count what happens to the connections of one pool; safe across threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waits: deque[float] = deque(maxlen=REMEMBERED)
        self._holds: deque[float] = deque(maxlen=REMEMBERED)
        self._counts: Counter[str] = Counter()
        self._discarded: Counter[str] = Counter()
        self.closed = False
        self.keep_idle = True

    def start_anew(self) -> None:
        """Forget what the parent process was doing: its locks may have been taken while it forked."""
        closed, keep_idle = self.closed, self.keep_idle
        self.__init__()  # type: ignore[misc]
        self.closed, self.keep_idle = closed, keep_idle

    def count(self, what: str, by: int = 1) -> None:
        with self._lock:
            self._counts[what] += by

    def waited(self, seconds: float) -> None:
        self._waits.append(seconds)

    def held(self, seconds: float) -> None:
        self._holds.append(seconds)

    def discarded(self, reason: str) -> None:
        with self._lock:
            self._discarded[reason] += 1

    @property
    def waiting(self) -> int:
        return self._counts["waiting"]

    def stats(self, pool: QueuePool) -> PoolStats:
        from onetrip._core.figures import PoolStats, percentiles

        in_use, idle = pool.checkedout(), pool.checkedin()
        with self._lock:
            return PoolStats(
                size=pool.size(),
                in_use=in_use,
                idle=idle,
                waiting=self._counts["waiting"],
                wait=percentiles(list(self._waits)),
                hold=percentiles(list(self._holds)),
                refused=self._counts["refused"],
                opened=self._counts["opened"],
                discarded=dict(self._discarded),
            )


def _closed() -> DatabaseClosed:
    return DatabaseClosed("this Database is closed", hint="make a new one, or open() it again")


class TripPool(QueuePool):
    """Hand out idle connections newest first, open up to the size, then let callers wait in line."""

    ledger: Ledger
    sweeper: Sweeper | None = None

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._process = os.getpid()

    def _do_get(self) -> ConnectionPoolEntry:
        if self.ledger.closed:
            raise _closed()
        budget.remaining()
        try:
            entry = self._pool.get(block=False)
        except queue.Empty:
            entry = self._open_or_wait()
        else:
            self.ledger.waited(0.0)
        return entry

    def _open_or_wait(self) -> ConnectionPoolEntry:
        if not self._inc_overflow():
            return self._wait_in_line()
        self.ledger.waited(0.0)
        try:
            return self._create_connection()
        except BaseException:
            self._give_up_place()
            raise

    def _give_up_place(self) -> None:
        """Let the next in line try to connect: a place that is merely free wakes nobody."""
        if self.ledger.waiting > self._pool.qsize():
            self._pool.put(_ConnectionRecord(self, connect=False), block=False)
        else:
            self._dec_overflow()

    def _wait_in_line(self) -> ConnectionPoolEntry:
        began = time.monotonic()
        limit = sooner(self._timeout, budget.current(), began)
        self.ledger.count("waiting")
        try:
            entry: ConnectionPoolEntry = self._pool.get(block=True, timeout=limit)
        except queue.Empty:
            self.ledger.count("refused")
            raise self._refusal(time.monotonic() - began, limit) from None
        finally:
            self.ledger.count("waiting", -1)
            self.ledger.waited(time.monotonic() - began)
        if self.ledger.closed:
            self._give_up_place()
            entry.close()
            raise _closed()
        return entry

    def _refusal(self, waited: float, limit: float) -> DatabaseBusy | DeadlineExceeded:
        line = (
            f"no connection came free within {waited:.1f} s: size={self.size()} in_use={self.checkedout()} "
            f"idle={self.checkedin()} waiting={self.ledger.waiting}"
        )
        return (
            DatabaseBusy(line) if limit >= self._timeout else DeadlineExceeded(line + " (the deadline ended the wait)")
        )

    def _do_return_conn(self, record: ConnectionPoolEntry) -> None:
        if self._process != os.getpid():
            return  # the parent's pool, connections and locks, which it may have held while it forked
        super()._do_return_conn(record)
        if self.sweeper:
            self.sweeper.arm()
        # Those who wait are served first: a connection that is closed under them would leave them waiting.
        if self.ledger.closed or not (self.ledger.keep_idle or self.ledger.waiting):
            self.drain()

    def drain(self) -> None:
        """Close every idle connection; those in use stay with their users, and who waits in line gets a free place."""
        records = self._all_idle()
        try:
            while records:
                record = records.pop()
                self._give_up_place()  # before closing, which may be cancelled
                record.close()
        finally:
            self._put_back(records)

    def dispose(self) -> None:
        """Close every idle connection; cancelled at one of them, the pool keeps the others and all of its places."""
        self.drain()

    def retire_idle(self, rest: float, floor: int) -> float | None:
        """Close what nobody has used for ``rest`` seconds; return when the next one is due, None if there is none."""
        kept: list[ConnectionPoolEntry] = []
        tired: list[ConnectionPoolEntry] = []
        soonest = None
        for record in self._all_idle():
            left = rest - rested(record.info.get("onetrip.used", LONG_AGO))
            if left > 0 or self.checkedin() + self.checkedout() - len(tired) <= floor:
                kept.append(record)
                soonest = min(left if left > 0 else rest, soonest or rest)
            else:
                tired.append(record)
        # Closing may take a trip: those that stay are back before it.
        self._put_back(kept)
        try:
            while tired:
                record = tired.pop()
                record.info["onetrip.reason"] = "idle"
                self._dec_overflow()
                record.close()
        finally:
            self._put_back(tired)  # where closing was cancelled, at the end of an event loop
        return soonest

    def _all_idle(self) -> list[ConnectionPoolEntry]:
        taken: list[ConnectionPoolEntry] = []
        while True:
            try:
                taken.append(self._pool.get(block=False))
            except queue.Empty:
                return taken

    def _put_back(self, records: list[ConnectionPoolEntry]) -> None:
        for record in reversed(records):
            self._pool.put(record, block=False)

    def recreate(self) -> QueuePool:
        pool = super().recreate()
        assert isinstance(pool, TripPool)
        pool.ledger = self.ledger
        if self.sweeper:
            pool.sweeper = self.sweeper.over(pool)
        return pool


class AsyncTripPool(TripPool, AsyncAdaptedQueuePool):
    """Be the same pool where waiting means awaiting."""

    _loop: asyncio.AbstractEventLoop | None = None

    def _do_get(self) -> ConnectionPoolEntry:
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._enter(loop)
        return super()._do_get()

    def _enter(self, loop: asyncio.AbstractEventLoop) -> None:
        """Wait in this event loop from now on: a queue of asyncio's belongs to the loop that first waited on it."""
        if self._loop is not None:
            before, self._pool = self._pool, AsyncAdaptedQueue(self._pool.maxsize, use_lifo=self._pool.use_lifo)
            records = [before.get_nowait() for _ in range(before.qsize())]
            for record in reversed(records):
                self._pool.put_nowait(record)
            if self.sweeper:
                self.sweeper.start_anew()
        self._loop = loop
