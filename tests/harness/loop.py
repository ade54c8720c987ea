"""An event loop in a thread of its own, for what has to serve while a test blocks."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from .wait import until_async

T = TypeVar("T")


async def sockets_closed() -> None:
    """Wait until every socket of the running loop is closed: TLS says goodbye, and waits for the answer.

    asyncpg begins to close a connection that was refused, and raises; a loop that ends right then leaves the socket.
    """
    loop: Any = asyncio.get_running_loop()
    await until_async(lambda: not [one for one in loop._transports.values() if one._sock is not None])


class LoopThread:
    """Run coroutines and functions in the loop's thread, from any other one."""

    def __init__(self, name: str) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name=name, daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T], *, timeout: float = 10.0) -> T:
        """Return what the coroutine returns."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(timeout)

    def call(self, function: Callable[[], T]) -> T:
        """Return what the function returns."""

        async def call() -> T:
            return function()

        return self.run(call())

    def close(self) -> None:
        """Cancel what still runs and end the thread."""
        self.run(self._cancel())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()

    async def _cancel(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.loop.shutdown_default_executor()
