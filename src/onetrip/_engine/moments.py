"""How long ago something was, also for a process that was frozen meanwhile."""

import time

Moment = tuple[float, float]
LONG_AGO: Moment = (float("-inf"), float("-inf"))


def moment() -> Moment:
    """Return now, by the clock that never jumps and by the one that never stands still."""
    return time.monotonic(), time.time()


def rested(since: Moment) -> float:
    """Return the seconds since then, by whichever clock shows more: a frozen machine may stop the first of them."""
    return max(time.monotonic() - since[0], time.time() - since[1])
