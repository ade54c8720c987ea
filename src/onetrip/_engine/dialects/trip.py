"""What a connection owes its server, and what rides with its next statement."""

from __future__ import annotations

from typing import Any


class Trip:
    """Hold what one DBAPI connection will send without asking for an answer; the driver's subclass keeps it true."""

    __slots__ = ("alone", "ending", "opening", "opening_lost", "owes_rollback", "settled_at_checkin")

    def __init__(self) -> None:
        self.owes_rollback = False
        """The last user's transaction is still open on the server; nobody may notice."""
        self.settled_at_checkin = False
        """The pool pays what is owed, before anybody may freeze the process; no janitor is needed."""
        self.opening: tuple[str, ...] | None = None
        """What opens this user's transactions; None is the driver's own BEGIN."""
        self.ending: str | None = None
        """What rides behind the next statement: COMMIT, where it is known to be the last one."""
        self.alone = False
        """The next statement cannot write and has no company: it needs no transaction around it."""
        self.opening_lost = False
        """An opening is on its way and unanswered. If the connection dies now, nothing has happened on the server."""

    def forget(self) -> None:
        """Let the next transaction be opened the driver's own way: a pooled connection has many users."""
        self.opening = self.ending = None
        self.alone = self.opening_lost = False


def trip_of(connection: Any) -> Trip | None:
    """Return the trip of a DBAPI connection, SQLAlchemy's asyncio adapter included; None under a stock dialect."""
    trip = getattr(connection, "trip", None)
    if trip is None:
        trip = getattr(getattr(connection, "driver_connection", None), "trip", None)
    return trip if isinstance(trip, Trip) else None
