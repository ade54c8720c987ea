"""Who sends a ROLLBACK that nobody came by to take along: a thread, or a timer of the event loop.

A transaction left open holds locks, and a pooler's server connection: it ends after ``PATIENCE``, whoever needs the
connection next pays it sooner. Nothing here runs while nothing is owed.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import AsyncIterator
from typing import Any

PATIENCE = 0.005
"""Seconds for which a ROLLBACK waits for a statement to ride with."""
TICK = 0.005
"""Seconds between two looks of the thread while something is owed."""
LONGEST = 5.0
"""Seconds that a ROLLBACK may take before its connection counts as dead."""


class _Debts:
    """Remember which connections owe a ROLLBACK, and since when."""

    def __init__(self) -> None:
        self._since: dict[Any, float] = {}
        self._lock = threading.Lock()

    def add(self, connection: Any) -> bool:
        """Note a debt that is ours to pay; say whether it is the only one."""
        if connection.trip.settled_at_checkin:
            return False
        with self._lock:
            first = not self._since
            self._since[connection] = time.monotonic()
        return first

    def due(self) -> list[Any]:
        """Forget the debts that were paid meanwhile; take out and return those that waited long enough."""
        with self._lock:
            old = time.monotonic() - PATIENCE
            paid = [connection for connection in self._since if not connection.trip.owes_rollback]
            late = [connection for connection, since in self._since.items() if since <= old and connection not in paid]
            for connection in paid + late:
                del self._since[connection]
        return late

    def all(self) -> list[Any]:
        """Take out and return all of them."""
        with self._lock:
            everybody, self._since = list(self._since), {}
        return everybody

    def __bool__(self) -> bool:
        return bool(self._since)


class OfThreads:
    """Pay the debts of blocking connections in one thread, started with the first of them."""

    def __init__(self) -> None:
        self._debts = _Debts()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None

    def owe(self, connection: Any) -> None:
        """Send the connection's ROLLBACK soon, unless its next user does."""
        if self._debts.add(connection):
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="onetrip-janitor", daemon=True)
                self._thread.start()
            self._wake.set()

    def _work(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            while self._debts:
                time.sleep(TICK)  # not a wait for something: this is the patience
                _pay_all(self._debts.due())


def _pay_all(connections: list[Any]) -> None:
    # A function of its own: what a waiting thread has names for is never freed.
    for connection in connections:
        _pay(connection)


def _pay(connection: Any) -> None:
    try:
        connection.pay()
    except Exception:  # noqa: BLE001  its next user finds it dead, and replaces it
        connection.trip.owes_rollback = False


class OfLoops:
    """Pay the debts of asyncio connections, each in its own event loop."""

    def __init__(self) -> None:
        self._debts: dict[asyncio.AbstractEventLoop, _Debts] = {}
        self._ends: dict[asyncio.AbstractEventLoop, AsyncIterator[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def owe(self, connection: Any) -> None:
        """Send the connection's ROLLBACK soon, unless its next user does."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return  # the loop is over, and the connection with it
        if loop not in self._debts:
            self._enter(loop)
        debts = self._debts[loop]
        if debts.add(connection):
            loop.call_later(PATIENCE, self._look, loop, debts)

    def _enter(self, loop: asyncio.AbstractEventLoop) -> None:
        for other in [other for other in self._debts if other.is_closed()]:
            del self._debts[other], self._ends[other]
        debts = self._debts[loop] = _Debts()
        # Whoever closes a loop in order ends its asynchronous generators first: one tells us that it is time.
        self._ends[loop] = end = _end(debts)
        self._keep(loop.create_task(_start(end)))

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)  # asyncio itself keeps only weak references to its tasks
        task.add_done_callback(self._tasks.discard)

    def _look(self, loop: asyncio.AbstractEventLoop, debts: _Debts) -> None:
        for connection in debts.due():
            self._keep(loop.create_task(_pay_async(connection)))
        if debts:
            loop.call_later(PATIENCE, self._look, loop, debts)


async def _end(debts: _Debts) -> AsyncIterator[None]:
    try:
        yield
    finally:
        for connection in debts.all():
            await _pay_async(connection)


async def _start(end: AsyncIterator[None]) -> None:
    await anext(end)


async def _pay_async(connection: Any) -> None:
    try:
        await connection.pay()
    except Exception:  # noqa: BLE001  its next user finds it dead, and replaces it
        connection.trip.owes_rollback = False


of_threads = OfThreads()
of_loops = OfLoops()


def _start_anew() -> None:
    """Leave the parent's debts to the parent: its thread, and maybe its lock, did not come along."""
    of_threads.__init__()  # type: ignore[misc]
    of_loops.__init__()  # type: ignore[misc]


os.register_at_fork(after_in_child=_start_anew)
