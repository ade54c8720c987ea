"""The caller's deadline: one context variable that every wait below it respects."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from onetrip._core.deadline import Deadline
from onetrip.errors import ConfigurationError, DeadlineExceeded, Phase

_current: ContextVar[Deadline | None] = ContextVar("onetrip.deadline", default=None)


@contextmanager
def deadline(seconds: float | None) -> Iterator[None]:
    """Bound everything inside by ``seconds``: pool wait, retries, statements.

    An outer deadline that ends sooner stays in force. ``None`` lifts it, for work that outlives its request. When the
    time is up, the next thing to start raises ``DeadlineExceeded`` and a running statement is cancelled on the server.
    """
    if seconds is not None and not seconds > 0:  # so that nan is refused as well
        raise ConfigurationError(f"deadline({seconds!r}) is over before it starts", hint="give seconds above zero")
    token = _current.set(_make(seconds))
    try:
        yield
    finally:
        _current.reset(token)


def _make(seconds: float | None) -> Deadline | None:
    if seconds is None:
        return None
    wanted = Deadline(time.monotonic() + seconds, seconds)
    outer = _current.get()
    return outer if outer is not None and outer.at < wanted.at else wanted


def current() -> Deadline | None:
    """Return the deadline in force here, if any."""
    return _current.get()


def passed() -> Deadline | None:
    """Return the deadline in force here if its time is up."""
    limit = _current.get()
    return limit if limit is not None and limit.remaining(time.monotonic()) <= 0 else None


def remaining() -> float | None:
    """Return the seconds left of the deadline in force, or None without one; raises ``DeadlineExceeded`` once over."""
    limit = _current.get()
    if limit is None:
        return None
    left = limit.remaining(time.monotonic())
    if left <= 0:
        raise DeadlineExceeded(
            f"the deadline of {limit.given:g} s passed {-left:.1f} s ago; nothing more was sent", phase=Phase.CHECKOUT
        )
    return left
