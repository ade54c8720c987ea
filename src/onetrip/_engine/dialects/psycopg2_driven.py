"""Large objects and two-phase transactions: what psycopg2 does in no transaction but one of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg2
from psycopg2 import extensions

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

_Own = extensions.connection


def without_block(opening: tuple[str, ...]) -> tuple[str, ...]:
    """Return what opens the same transaction where the simple query itself is one: it ends with the query.

    Something is always in front: a statement alone is no block, and could be one that commits by itself.
    """
    begin, *settings = opening
    modes = begin.removeprefix("BEGIN")
    return (f"SET TRANSACTION{modes}" if modes else "SELECT", *settings)


class Driven:
    """Be a connection that hands a transaction over to psycopg2, which is out of autocommit meanwhile; a mixin."""

    driven: bool
    """psycopg2 runs the transaction by itself."""

    if TYPE_CHECKING:
        closed: int
        async_: int
        _begun: bool
        _failed: bool
        _autocommit: bool

        @property
        def in_blocks(self) -> bool: ...
        def settled(self) -> AbstractContextManager[None]: ...
        def refuse_if_failed(self) -> None: ...
        def say(self, text: Any) -> None: ...
        def _opening(self) -> list[str]: ...
        def _forget(self) -> None: ...

    def _drive(self) -> None:
        """Let psycopg2 run the transaction: it is out of autocommit, and its own BEGIN comes next."""
        _Own.set_session(self, autocommit=False)
        self.driven = True

    def _end_driven(self, end: Any, *arguments: Any) -> None:
        try:
            end(*arguments)
        finally:
            if not self.closed and not self.async_ and _Own.status.__get__(self) == extensions.STATUS_READY:
                self.driven = False
                _Own.set_session(self, autocommit=True)
                self._forget()

    def _open_driven(self) -> None:
        opening = without_block(tuple(self._opening()))
        if opening != without_block(("BEGIN",)):
            self.say("; ".join(opening))

    def lobject(self, *arguments: Any, **options: Any) -> Any:
        with self.settled():
            self.refuse_if_failed()
            if self.in_blocks and not self.driven:
                self._drive()
                # Too late with a BEGIN of ours sent: psycopg2 repeats it, and the server warns and goes on.
                if not self._begun:
                    self._open_driven()
            return _Own.lobject(self, *arguments, **options)

    def tpc_begin(self, xid: Any) -> None:
        with self.settled():
            if self._begun or self._failed:
                raise psycopg2.ProgrammingError("tpc_begin cannot be used inside a transaction")
            if self._autocommit or self.driven:
                return _Own.tpc_begin(self, xid)  # type: ignore[no-any-return]
            self._drive()
            try:
                _Own.tpc_begin(self, xid)
            finally:
                self._end_driven(lambda: None)
            self._open_driven()
        return None

    def tpc_commit(self, *xid: Any) -> None:
        self._finish("tpc_commit", *xid)

    def tpc_rollback(self, *xid: Any) -> None:
        self._finish("tpc_rollback", *xid)

    def _finish(self, name: str, *xid: Any) -> None:
        with self.settled():
            if xid and (self._begun or self._failed):
                raise psycopg2.ProgrammingError(f"{name} with a xid must be called outside a transaction")
            if self.driven:
                self._end_driven(getattr(_Own, name), self, *xid)
            else:
                getattr(_Own, name)(self, *xid)

    def tpc_recover(self) -> Any:
        with self.settled():
            return _Own.tpc_recover(self)
