"""psycopg2's connection, whose BEGIN leaves in one simple query with the first statement.

psycopg2 itself stays in autocommit; what it would have sent alone, we put as text in front of the statement. The last
result of a simple query is the one that psycopg2 shows, so rows, row count and status are those of the statement.
What only psycopg2's own transactions can do (large objects, two phases) it does in one of its own: ``driven``.
"""

from __future__ import annotations

import select
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from typing import Any, Self

import psycopg2
from psycopg2 import errors, extensions

from onetrip._engine.dialects import janitor
from onetrip._engine.dialects.psycopg2_cursor import riding
from onetrip._engine.dialects.psycopg2_driven import Driven, without_block
from onetrip._engine.dialects.psycopg2_modes import Modes
from onetrip._engine.dialects.trip import Trip

IDLE, INERROR, UNKNOWN = (
    extensions.TRANSACTION_STATUS_IDLE,
    extensions.TRANSACTION_STATUS_INERROR,
    extensions.TRANSACTION_STATUS_UNKNOWN,
)
_ABORTED = "current transaction is aborted, commands ignored until end of transaction block\n"
_Own = extensions.connection


class _Info(extensions.ConnectionInfo):  # type: ignore[misc]
    """Say what its user sees: a transaction that only waits for its ROLLBACK is over."""

    def __init__(self, connection: TripConnection) -> None:
        super().__init__(connection)
        self._connection = connection

    @property
    def transaction_status(self) -> int:
        return self._connection.get_transaction_status()


class TripConnection(Driven, Modes, extensions.connection):  # type: ignore[misc]
    """Be psycopg2's connection, whose transactions start with their first statement."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.trip = Trip()
        self.turn = threading.RLock()
        """Held from deciding what is owed until it is answered: the janitor must not come in between."""
        self.driven = bool(self.async_)
        self.transactions = 0
        """How many ended; a named cursor does not outlive its own."""
        self._begun = self._failed = self._entered = False
        if self.driven:
            self._autocommit = True
        else:
            _Own.set_session(self, autocommit=True)

    @property
    def status(self) -> int:
        if self._begun or self._failed:
            return extensions.STATUS_BEGIN  # type: ignore[no-any-return]
        return _Own.status.__get__(self)  # type: ignore[no-any-return]

    @property
    def info(self) -> _Info:
        return _Info(self)

    def get_transaction_status(self) -> int:
        if self.trip.owes_rollback:
            return IDLE  # type: ignore[no-any-return]
        return INERROR if self._failed else self._server_status()

    def _server_status(self) -> int:
        return _Own.get_transaction_status(self)  # type: ignore[no-any-return]

    def cursor(self, name: Any = None, cursor_factory: Any = None, *rest: Any, **options: Any) -> Any:
        factory = riding(cursor_factory or self.cursor_factory or extensions.cursor, named=name is not None)
        return super().cursor(name, factory, *rest, **options)

    # What goes out before a statement, with it or apart.

    @property
    def in_blocks(self) -> bool:
        """Say whether statements run in a transaction of several."""
        return not self._autocommit or self._entered

    def owed(self) -> list[str]:
        """Return what has to be on the server before the next statement."""
        owed = ["ROLLBACK"] if self.trip.owes_rollback else []
        return owed + self._opening() if self.in_blocks and not self._begun and not self.driven else owed

    def _opening(self) -> list[str]:
        return [self.begin()] if self.trip.opening is None else list(self.trip.opening)

    @contextmanager
    def departure(self, *, alone: bool = True, ends: bool = False) -> Iterator[bytes]:
        """Give the text of what is owed, to be sent inside; believe that it has happened if nothing is raised.

        A transaction that ``ends`` with the query does so by itself. A lost query is not repeated unless its
        statement came ``alone``: text of several may hold a COMMIT.
        """
        trip, opens = self.trip, self.in_blocks and not self._begun
        owed = self.owed()
        if ends:
            owed = [text for text in owed if text == "ROLLBACK"] + list(without_block(tuple(self._opening())))
        trip.owes_rollback = False
        trip.opening_lost = opens and alone
        try:
            yield "; ".join(owed).encode()
        except BaseException:
            self._judge(opens=opens)
            raise
        trip.opening_lost = False
        self._begun = self._begun or (opens and not ends)

    def _judge(self, *, opens: bool) -> None:
        status = self._server_status()
        if self.closed or status == UNKNOWN:
            return
        self.trip.opening_lost = False
        if opens:
            # Idle: a syntax error, say, and nothing of the query ran, not even BEGIN. The next statement must not run.
            self._failed = status == IDLE
            self._begun = status != IDLE

    @contextmanager
    def apart(self) -> Iterator[None]:
        """Send what is owed alone, for what cannot take it along; nobody else uses the connection inside."""
        with self.turn:
            self.refuse_if_failed()
            self.trip.ending = None
            if self.owed():
                with self.departure() as owed:
                    self.say(owed)
            yield

    def say(self, text: Any) -> None:
        """Send a text of our own, by psycopg2's bare cursor."""
        with extensions.cursor(self) as cursor:
            cursor.execute(text)

    def refuse_if_failed(self) -> None:
        """Raise what the server would, had it got our BEGIN."""
        if self._failed:
            error = errors.InFailedSqlTransaction(_ABORTED)
            error.__setstate__({"pgcode": "25P02", "pgerror": f"ERROR:  {_ABORTED}"})
            raise error

    # The end of a transaction.

    def commit(self) -> None:
        with self.turn:
            self._refuse_if_closed()
            if self.driven:
                return self._end_driven(super().commit)
            sent, failed = self._begun, self._failed
            self._forget()
            # Idle: nothing to end. The query was a transaction of its own, or held a COMMIT.
            if sent and not failed and self._server_status() != IDLE:
                self.say(b"COMMIT")
        return None

    def rollback(self) -> None:
        with self.turn:
            self._refuse_if_closed()
            if self.driven:
                return self._end_driven(super().rollback)
            if self._begun and self._server_status() != IDLE:
                self.trip.owes_rollback = True
                janitor.of_threads.owe(self)
            self._forget()
        return None

    def _forget(self) -> None:
        self.transactions += self._begun
        self._begun = self._failed = False
        self.trip.forget()

    def _refuse_if_closed(self) -> None:
        if self.closed:
            raise psycopg2.InterfaceError("connection already closed")

    def __enter__(self) -> Self:
        self._refuse_if_closed()
        if self._entered:
            raise psycopg2.ProgrammingError("the connection cannot be re-entered recursively")
        self._entered = True
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._entered = False
        if kind is None:
            self.commit()
        else:
            self.rollback()

    def close(self) -> None:
        """Close the connection, the transaction that nobody needs any more first."""
        with suppress(psycopg2.Error):
            self.pay()
        super().close()

    def pay(self) -> None:
        """Send the ROLLBACK that is owed and wait for its answer, unless somebody is about to send it anyway."""
        if not self.trip.owes_rollback:
            return
        if not self.turn.acquire(timeout=janitor.PATIENCE):
            janitor.of_threads.owe(self)
            return
        try:
            self._settle()
        finally:
            self.turn.release()

    @contextmanager
    def settled(self) -> Iterator[None]:
        """Take the connection for oneself, with nothing left of its last user."""
        with self.turn:
            self._settle()
            yield

    def _settle(self) -> None:
        if self.trip.owes_rollback:
            self.say(b"ROLLBACK")
            self.trip.owes_rollback = False

    def set_client_encoding(self, encoding: str) -> None:
        with self.turn:
            another = "".join(filter(str.isalnum, encoding)).upper() != self.encoding
            if another and not self.driven:
                self.rollback()
                self._settle()
            super().set_client_encoding(encoding)

    def reset(self) -> None:
        with self.turn:
            if not self.driven:
                self.rollback()
                self._settle()
            super().reset()
            self._forget()
            self.driven = False
            _Own.set_session(self, autocommit=True)
            self.copy_modes(Modes())

    # What a pool asks of its connections.

    def looks_alive(self) -> bool:
        """Look at the socket, without a trip: a dead connection has an end of file to read, and maybe a farewell."""
        if not self.turn.acquire(blocking=False):
            return True  # the janitor is listening to it; what it hears, the next statement will
        try:
            return not self.closed and self._listens()
        finally:
            self.turn.release()

    def _listens(self) -> bool:
        poll = select.poll()
        poll.register(self.fileno(), select.POLLIN)
        try:
            # Notices and notifications are kept; an end of file shows at the second reading only.
            while poll.poll(0):
                self.poll()
        except psycopg2.OperationalError:
            return False
        return True

    def take_over(self, lost: TripConnection) -> None:
        """Go on with the transaction of a connection that was lost before its first answer."""
        self.copy_modes(lost)
        self._entered = lost._entered
        self.trip.opening = lost.trip.opening


@cache
def tripping(factory: type | None) -> type:
    """Return a class of connections that behaves like ``factory`` on top of ours."""
    if factory is None or issubclass(TripConnection, factory):
        return TripConnection
    return factory if issubclass(factory, TripConnection) else type(factory.__name__, (factory, TripConnection), {})
