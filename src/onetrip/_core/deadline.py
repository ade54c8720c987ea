"""A point in time after which nobody waits for the answer any more."""

from typing import NamedTuple


class Deadline(NamedTuple):
    """Hold the moment (on a monotonic clock, in seconds) and the seconds it was made from, for messages."""

    at: float
    given: float

    def remaining(self, now: float) -> float:
        """Return the seconds left, negative once they are over."""
        return self.at - now


def sooner(limit: float, deadline: Deadline | None, now: float) -> float:
    """Return the seconds that a wait of at most ``limit`` may take, never below zero."""
    return limit if deadline is None else max(0.0, min(limit, deadline.remaining(now)))
