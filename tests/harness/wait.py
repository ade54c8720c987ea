"""Wait for a condition, never for a time."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import NoReturn, TypeVar

T = TypeVar("T")
Message = str | Callable[[], str]
PAUSE = 0.01  # s


def until(condition: Callable[[], T], *, timeout: float = 5.0, message: Message = "") -> T:
    """Return the first true value of ``condition()``; raise AssertionError after ``timeout`` seconds."""
    end = time.monotonic() + timeout
    while not (value := condition()):
        if time.monotonic() > end:
            _give_up(condition, timeout, message)
        time.sleep(PAUSE)
    return value


async def until_async(condition: Callable[[], T | Awaitable[T]], *, timeout: float = 5.0, message: Message = "") -> T:  # noqa: ASYNC109
    """Do the same without blocking the event loop; ``condition`` may be a coroutine function."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if inspect.isawaitable(value):
            value = await value
        if value:
            return value
        if time.monotonic() > end:
            _give_up(condition, timeout, message)
        await asyncio.sleep(PAUSE)


def _give_up(condition: Callable[[], object], timeout: float, message: Message) -> NoReturn:
    text = message() if callable(message) else message
    raise AssertionError(f"not within {timeout:g} s: {text or getattr(condition, '__qualname__', condition)}")
