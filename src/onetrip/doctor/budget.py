"""The time that the whole examination may take, and calls that cannot be interrupted but must not be waited for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class Budget:
    """Count down ``seconds`` from now."""

    def __init__(self, seconds: float) -> None:
        self._begin = time.monotonic()
        self._end = self._begin + seconds

    def left(self, most: float = float("inf")) -> float:
        """Return the seconds left, at most ``most``, never less than a moment."""
        return max(0.05, min(most, self._end - time.monotonic()))

    @property
    def spent(self) -> float:
        """Return the seconds since the beginning."""
        return time.monotonic() - self._begin

    @property
    def over(self) -> bool:
        """Say whether the time is up."""
        return time.monotonic() >= self._end


def within(seconds: float, call: Callable[[], T]) -> T:
    """Return or raise what ``call`` does; after ``seconds`` raise TimeoutError and leave it behind."""
    results: list[T] = []
    errors: list[Exception] = []

    def work() -> None:
        try:
            results.append(call())
        except Exception as error:  # noqa: BLE001  raised again in the caller's thread
            errors.append(error)

    thread = threading.Thread(target=work, daemon=True, name="onetrip doctor")
    thread.start()
    thread.join(seconds)
    if errors:
        raise errors[0]
    if not results:
        raise TimeoutError(f"no answer within {seconds:.1f} s")
    return results[0]
