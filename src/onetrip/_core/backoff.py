"""How long to wait before a transaction is tried again, and when to give up."""

from __future__ import annotations

from onetrip.errors import Conflict, DatabaseError

ATTEMPTS = 5
FIRST = 0.01
LONGEST = 0.5


def pause(error: DatabaseError, attempt: int, dice: float, remaining: float | None) -> float | None:
    """Return the seconds to wait before attempt ``attempt + 1``, or None to give up.

    Only a conflict is repeated: the server has then rolled everything back. Full jitter (``dice`` is in [0, 1)) keeps
    the losers of one conflict from meeting again. ``remaining`` is what is left of the caller's deadline.
    """
    if not isinstance(error, Conflict) or attempt >= ATTEMPTS:
        return None
    seconds = dice * min(LONGEST, FIRST * 2 ** (attempt - 1))
    return None if remaining is not None and seconds >= remaining else seconds
