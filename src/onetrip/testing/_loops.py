"""Connections that rest in a pool of a test whose event loop ends before the pool does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from sqlalchemy import event
from sqlalchemy.pool import QueuePool
from sqlalchemy.util import queue

from onetrip._engine import bridge

if TYPE_CHECKING:
    from onetrip._engine.runtime import Runtime


def drain_with_loop(runtime: Runtime) -> None:
    """Close idle connections when the event loop that opened them shuts its asynchronous generators down.

    Every runner does so just before it closes its loop: asyncio's, pytest-asyncio's, anyio's.
    """
    waiting: WeakKeyDictionary[asyncio.AbstractEventLoop, AsyncIterator[None]] = WeakKeyDictionary()

    async def until_shut_down() -> AsyncIterator[None]:
        try:
            yield
        finally:
            await bridge.in_greenlet(runtime.drain)

    @event.listens_for(runtime.engine, "connect")
    def connect(_connection: object, _record: object) -> None:
        loop = asyncio.get_running_loop()
        if loop not in waiting:
            waiting[loop] = until_shut_down()
            bridge.wait_for(anext(waiting[loop]))


def terminate_idle(runtime: Runtime) -> None:
    """Close what rests in a pool without a word to the server, for want of a running loop."""
    pool = runtime.engine.pool
    assert isinstance(pool, QueuePool)
    with suppress(queue.Empty):
        while True:
            pool._pool.get(block=False).invalidate()  # noqa: SLF001
