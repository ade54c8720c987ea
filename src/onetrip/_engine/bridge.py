"""What asyncio needs that a thread gets for free: an ending that cancellation cannot cut in half."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from sqlalchemy.util import await_only, greenlet_spawn

T = TypeVar("T")


async def finish(work: Coroutine[Any, Any, T]) -> T:
    """Run ``work`` to its end, then deliver a cancellation that came meanwhile.

    anyio cancels every await of a cancelled scope again and again, clean-up included
    (https://anyio.readthedocs.io/en/stable/cancellation.html); a task of its own lies outside that scope. Without
    this a cancelled request leaves its query running on the server.
    """
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            if not task.done():
                cancelled = error
        except BaseException:  # noqa: BLE001, S110 - it is the task's own, raised by result() below
            pass
    if cancelled is not None:
        if not task.cancelled():
            task.exception()  # retrieved, so that asyncio does not report it as lost
        raise cancelled
    return task.result()


_leftovers: set[asyncio.Task[None]] = set()


async def take_or_discard(work: Coroutine[Any, Any, T], discard: Callable[[T], Coroutine[Any, Any, None]]) -> T:
    """Return what ``work`` makes; if nobody is there any more to take it, let it come and discard it.

    A cancelled connect would otherwise leave an open connection that belongs to no one.
    """
    task = asyncio.ensure_future(work)

    async def wait_and_discard() -> None:
        await asyncio.wait([task])
        if not task.cancelled() and task.exception() is None:
            await discard(task.result())

    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        leftover = asyncio.ensure_future(wait_and_discard())
        _leftovers.add(leftover)  # asyncio itself keeps only weak references to its tasks
        leftover.add_done_callback(_leftovers.discard)
        raise


def wait_for(awaitable: Awaitable[T]) -> T:
    """Await from SQLAlchemy's synchronous inside; raises ``MissingGreenlet`` where no event loop runs around it."""
    return await_only(awaitable)


async def in_greenlet(function: Callable[..., T], *arguments: Any) -> T:
    """Run synchronous code that awaits inside, as SQLAlchemy's asyncio extension does."""
    return await greenlet_spawn(function, *arguments)
