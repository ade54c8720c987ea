"""Who closes connections that nobody has used for long: a timer, armed while there are any.

A serverless compute suspends when it has nothing to do, and takes its connections along. Closed from here, before that,
they cost the next request nothing; and nothing is ever sent to them, which would keep the compute awake.
"""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

from onetrip._engine import bridge

if TYPE_CHECKING:
    from onetrip._engine.pool import TripPool

SOONEST = 0.05
"""Seconds between two looks, at least."""


class Sweeper:
    """Close the connections of one pool that have rested for ``rest`` seconds, all but ``floor`` of them."""

    def __init__(self, pool: TripPool, *, rest: float, floor: int, asynchronous: bool) -> None:
        self._pool = pool
        self._rest = rest
        self._floor = floor
        self._asynchronous = asynchronous
        self._armed = False
        self._task: asyncio.Task[None] | None = None

    def arm(self, delay: float | None = None) -> None:
        """Look again in ``delay`` seconds; a connection that comes back arms it if nothing else did."""
        if self._armed:
            return
        self._armed = True
        delay = max(self._rest if delay is None else delay, SOONEST)
        if self._asynchronous:
            asyncio.get_running_loop().call_later(delay, self._start)
        else:
            timer = threading.Timer(delay, self._sweep)
            timer.daemon = True
            timer.name = "onetrip-idle"
            timer.start()

    def over(self, pool: TripPool) -> Sweeper:
        """Return the same for another pool."""
        return Sweeper(pool, rest=self._rest, floor=self._floor, asynchronous=self._asynchronous)

    def start_anew(self) -> None:
        """Forget a timer that did not come along into another process or event loop."""
        self._armed = False

    def _start(self) -> None:
        self._task = asyncio.ensure_future(bridge.in_greenlet(self._sweep))

    def _sweep(self) -> None:
        self._armed = False
        soonest = self._pool.retire_idle(self._rest, self._floor)
        if soonest is not None:
            self.arm(soonest)
