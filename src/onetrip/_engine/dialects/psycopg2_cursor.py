"""psycopg2's cursors over a ``TripConnection``: a statement takes along what its connection owes, or lets it go first.

Each statement holds the connection's turn, from deciding what is owed until the answer is there.
"""

from __future__ import annotations

import re
from functools import cache, partialmethod
from typing import Any

import psycopg2
from psycopg2 import extensions, sql

_SKIPPED = re.compile(rb"(?:[\s;]|--[^\n]*(?:\n|\Z)|/\*.*?\*/)*", re.DOTALL)
"""What is no statement, at the start of a text."""
_CONTROL = re.compile(r"\s*(BEGIN|START|COMMIT|END|ROLLBACK|ABORT|SAVEPOINT|RELEASE|PREPARE)\b", re.IGNORECASE)
"""What has a meaning of its own to a transaction."""
_LINE = re.compile(r"^LINE (\d+):", re.MULTILINE)


def one_line_up(error: psycopg2.Error) -> None:
    """Count the lines of a statement from its own first one: what rode with it stood on a line before."""
    if error.diag.statement_position is None:
        return

    def lift(text: Any) -> Any:
        return _LINE.sub(lambda found: f"LINE {int(found[1]) - 1}:", text, count=1) if isinstance(text, str) else text

    error.args = tuple(map(lift, error.args))
    error.__setstate__({"pgcode": error.pgcode, "pgerror": lift(error.pgerror)})


class RidingCursor(extensions.cursor):  # type: ignore[misc]
    """Be psycopg2's cursor, whose statement takes along what its connection owes."""

    _asked: bytes | None = None

    @property
    def query(self) -> bytes | None:
        """Return the statement that was sent, without what rode with it."""
        return self._asked if self._asked is not None else extensions.cursor.query.__get__(self)

    def execute(self, query: Any, vars: Any = None) -> None:  # noqa: A002  psycopg2's name
        connection = self.connection
        with connection.turn:
            connection.refuse_if_failed()
            self._asked = None
            ending, connection.trip.ending = connection.trip.ending, None
            if self.closed or not connection.owed():
                return super().execute(query, vars)  # type: ignore[no-any-return]
            text = self.mogrify(query, vars)
            if not connection.in_blocks or connection.driven or _SKIPPED.match(text).end() == len(text):  # type: ignore[union-attr]
                with connection.apart():
                    return super().execute(text)  # type: ignore[no-any-return]
            self._ride(text, self._said(query), ending)
        return None

    def _said(self, query: Any) -> str:
        """Return the statement before its values came in: they may hold anything."""
        if not isinstance(query, str | bytes):
            query = self.mogrify(query)
        return query if isinstance(query, str) else query.decode("latin-1")

    def _ride(self, text: bytes, said: str, ending: str | None) -> None:
        connection = self.connection
        alone = ";" not in said.rstrip("; \n\t\r")
        ends = ending is not None and alone and not _CONTROL.match(said)
        with connection.departure(alone=alone, ends=ends) as owed:
            try:
                super().execute(owed + b";\n" + text)
            except psycopg2.Error as error:
                one_line_up(error)
                raise
            finally:
                self._asked = text

    def _apart(self, method: str, *arguments: Any, **options: Any) -> Any:
        with self.connection.apart():
            self._asked = None
            return getattr(super(), method)(*arguments, **options)

    executemany = partialmethod(_apart, "executemany")
    callproc = partialmethod(_apart, "callproc")
    copy_from = partialmethod(_apart, "copy_from")
    copy_to = partialmethod(_apart, "copy_to")
    copy_expert = partialmethod(_apart, "copy_expert")


class _Inside(sql.Composable):  # type: ignore[misc]
    """Be a query that makes its cursor one without hold when psycopg2 reads it.

    psycopg2 refuses such a cursor in autocommit, which is where it believes to be; it looks before it reads the query.
    """

    def as_string(self, _context: Any) -> Any:
        cursor, query = self._wrapped
        cursor.withhold = False
        return query.as_string(cursor.connection) if isinstance(query, sql.Composable) else query


class NamedCursor(RidingCursor):
    """Be psycopg2's server-side cursor; nothing rides with it, and it ends with its transaction."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._transaction = self.connection.transactions

    def execute(self, query: Any, vars: Any = None) -> None:  # noqa: A002  psycopg2's name
        self._refuse_if_over()
        with self.connection.apart():
            declare = super(RidingCursor, self).execute
            if self.withhold or self.connection.driven or not self.connection.in_blocks:
                return declare(query, vars)  # type: ignore[no-any-return]
            self.withhold: bool = True
            try:
                declare(_Inside((self, query)), vars)
            finally:
                self.withhold = False
        return None

    def _refuse_if_over(self) -> None:
        if self._transaction != self.connection.transactions and not self.withhold:
            raise psycopg2.ProgrammingError("named cursor isn't valid anymore")

    def _in_time(self, method: str, *arguments: Any, **options: Any) -> Any:
        connection = self.connection
        with connection.turn:
            if self.query is not None and not self.closed:
                self._refuse_if_over()
            connection.pay()
            return getattr(super(), method)(*arguments, **options)

    fetchone = partialmethod(_in_time, "fetchone")
    fetchmany = partialmethod(_in_time, "fetchmany")
    fetchall = partialmethod(_in_time, "fetchall")
    scroll = partialmethod(_in_time, "scroll")
    close = partialmethod(_in_time, "close")

    def __next__(self) -> Any:
        return self._in_time("__next__")


@cache
def riding(factory: type, *, named: bool) -> type:
    """Return a class of cursors that behaves like ``factory`` on top of ours."""
    ours = NamedCursor if named else RidingCursor
    return ours if issubclass(ours, factory) else type(factory.__name__, (factory, ours), {})
