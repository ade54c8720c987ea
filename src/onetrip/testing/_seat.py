"""One connection for a whole test: what the application commits is a savepoint, and the end of the test undoes it all.

Every session gets a ``Share`` of the connection, which behaves like a connection of its own. Its first statement sets
a savepoint, its commit releases it, its rollback goes back to it. Savepoints nest and nothing else: a session may begin
inside another one's transaction only if that one waits for it (a request that a test makes while its own session is
open); sessions of tasks side by side take turns.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from onetrip.errors import UnsafeUse

PATIENCE = 5.0
"""Seconds that one transaction of a test waits for another one to end."""

_IDLE, _IN_ERROR = 0, 3  # libpq's PGTransactionStatusType

# A RELEASE keeps what SET LOCAL set, where a COMMIT would undo it.
_CLEAN = "RESET SESSION AUTHORIZATION; RESET ROLE; RESET ALL"
# What a COMMIT does to SET CONSTRAINTS; ALL DEFERRED would also defer what is INITIALLY IMMEDIATE.
_DEFER = """DO $$ DECLARE names text; BEGIN
SELECT string_agg(format('%I.%I', n.nspname, c.conname), ', ') INTO names
FROM pg_catalog.pg_constraint c JOIN pg_catalog.pg_namespace n ON n.oid = c.connamespace WHERE c.condeferred;
IF names IS NOT NULL THEN EXECUTE 'SET CONSTRAINTS ' || names || ' DEFERRED'; END IF; END $$"""

_inside: ContextVar[tuple[Share, ...]] = ContextVar("onetrip.testing", default=())


async def _soft_close(_cursor: Any) -> None:
    """Do what SQLAlchemy's asyncio extension asks of a cursor whose rows are all here: nothing."""


class Seat:
    """Hold the connection of a worker and the open transactions on it, innermost last."""

    def __init__(self, connect: Callable[[], Any]) -> None:
        self._connect = connect
        self._lock = threading.RLock()
        self._numbers = itertools.count(1)
        self.real: Any = None
        self.stack: list[Share] = []
        self.used = False

    def open(self) -> None:
        """Connect, if that is not done."""
        if self.real is None or self.real.closed:
            self.real = self._connect()
            cursor = type(self.real.cursor())
            self.real.cursor_factory = type("SharedCursor", (cursor,), {"_async_soft_close": _soft_close})

    def begin(self, share: Share) -> None:
        """Set the share's savepoint, inside those transactions that it is part of."""
        share.wait(lambda: self._push(share), "begin")

    def _push(self, share: Share) -> bool:
        with self._lock:
            if self.stack and self.stack[-1] not in _inside.get():
                return False
            self.open()
            outer = self.stack[-1] if self.stack else None
            if outer and outer.read_only and not share.read_only:
                raise UnsafeUse(
                    "a transaction that may write began inside one that is READ ONLY: here it cannot write",
                    hint="end the read() first, or mark the test: @pytest.mark.committed",
                )
            share.savepoint = f"onetrip_{next(self._numbers)}"
            clean = f"; {_CLEAN}" if outer else ""
            read_only = "; SET TRANSACTION READ ONLY" if share.read_only else ""
            self.send(f"SAVEPOINT {share.savepoint}{clean}{read_only}")
            self.used = True
            self.stack.append(share)
        _inside.set((*(other for other in _inside.get() if other.savepoint and not other.lost), share))
        return True

    def commit(self, share: Share) -> None:
        """Keep what the share did, if its deferred constraints hold, and leave no setting behind."""
        share.wait(lambda: self.stack[-1] is share, "commit")
        if self.real.info.transaction_status == _IN_ERROR:
            self.roll_back(share)  # as the server answers COMMIT after an error
            return
        try:
            self.send("SET CONSTRAINTS ALL IMMEDIATE")
        except BaseException:
            self.roll_back(share)
            raise
        self._pop(share, f"RELEASE SAVEPOINT {share.savepoint}; {_CLEAN}; {_DEFER}")
        if self.stack:
            for name, value in self.stack[-1].settings:
                self.send("SELECT set_config(%s, %s, true)", (name, value))

    def roll_back(self, share: Share) -> None:
        """Undo what the share did, settings included; what others began inside it goes with it."""
        try:
            share.wait(lambda: self.stack[-1] is share, "roll back")
        except UnsafeUse:
            while self.stack[-1] is not share:
                self.stack.pop().lost = True
        self._pop(share, f"ROLLBACK TO SAVEPOINT {share.savepoint}; RELEASE SAVEPOINT {share.savepoint}")

    def _pop(self, share: Share, statement: str) -> None:
        with self._lock:
            try:
                self.send(statement)
            finally:
                self.stack.remove(share)
                share.end()

    def send(self, statement: str, values: tuple[str, ...] | None = None) -> None:
        """Send what the seat itself has to say."""
        with self.real.cursor() as cursor:
            cursor.execute(statement, values)

    def undo(self) -> bool:
        """End the test: undo everything. Return False if the transaction had been ended behind our back."""
        for share in self.stack:
            share.lost = True
        self.stack.clear()
        if not self.used:
            return True
        self.used = False
        whole: bool = self.real.closed or self.real.info.transaction_status != _IDLE
        try:
            self.real.rollback()
        except Exception:  # noqa: BLE001  either driver's: the connection is lost, and the server undoes by itself
            self.real.close()
        return whole

    def close(self) -> None:
        """Close the connection."""
        if self.real is not None and not self.real.closed:
            self.real.close()


class Share:
    """Be a connection for one session, on the connection of all of them."""

    def __init__(self, seat: Seat, pause: Callable[[float], object]) -> None:
        self.seat = seat
        self.settings: tuple[tuple[str, str], ...] = ()
        self.savepoint: str | None = None
        self.lost = False
        self.announced = False
        self._pause = pause
        # What the dialects set on a connection between transactions.
        self.read_only = False
        self.deferrable: Any = None
        self.isolation_level: Any = None

    @property
    def real(self) -> Any:
        """Return the connection itself, for drivers that look into it."""
        return self.seat.real

    @property
    def readonly(self) -> bool:
        """Be what psycopg2 calls ``read_only``."""
        return self.read_only

    @readonly.setter
    def readonly(self, value: bool) -> None:
        self.read_only = bool(value)

    @property
    def autocommit(self) -> bool:
        """Say no: each statement would be committed at once, which is what must not happen."""
        return False

    @autocommit.setter
    def autocommit(self, value: bool) -> None:
        if value:
            raise UnsafeUse(
                "AUTOCOMMIT cannot be rolled back at the end of the test",
                hint="mark the test: @pytest.mark.committed gives it a database of its own and real commits",
            )

    def set_isolation_level(self, level: Any) -> None:
        """Keep what psycopg2 was asked for; zero is its AUTOCOMMIT."""
        self.autocommit = level == 0
        self.isolation_level = level

    def cursor(self, *args: Any, **kwargs: Any) -> Any:
        """Return a cursor; where nobody announces statements, it is inside this share's savepoint."""
        self.seat.open()
        if not self.announced:
            self.take_turn()
        return self.seat.real.cursor(*args, **kwargs)

    def take_turn(self) -> None:
        """Come before each statement: begin, or wait until the transactions inside this one have ended."""
        self._pause(0)
        if self.lost:
            raise UnsafeUse(
                "this transaction ended with the one around it: the two shared the connection of the test",
                hint="end it first, or mark the test: @pytest.mark.committed",
            )
        if self.savepoint is None:
            self.seat.begin(self)
        else:
            self.wait(lambda: self.seat.stack[-1] is self, "run a statement")

    def commit(self) -> None:
        """Release the savepoint, if there is one."""
        self._pause(0)
        if self.savepoint and not self.lost:
            self.seat.commit(self)

    def rollback(self) -> None:
        """Go back to the savepoint, if there is one."""
        if self.savepoint and not self.lost:
            self.seat.roll_back(self)

    def close(self) -> None:
        """Give up the share, not the connection."""
        self.rollback()

    def end(self) -> None:
        """Be as new."""
        self.savepoint = None
        self.settings = ()

    def wait(self, ready: Callable[[], bool], what: str) -> None:
        """Wait for our turn; raise ``UnsafeUse`` if it does not come."""
        limit = time.monotonic() + PATIENCE
        while not ready():
            if time.monotonic() > limit:
                raise UnsafeUse(
                    f"a transaction waited {PATIENCE:g} s to {what}: another one is open in this test",
                    hint="let one end before the other goes on, or mark the test: @pytest.mark.committed",
                )
            self._pause(0.002)

    def __getattr__(self, name: str) -> Any:
        if self.seat.real is None:
            self.seat.open()
        return getattr(self.seat.real, name)
