"""How a psycopg2 connection begins its transactions, remembered in Python.

psycopg2's own idea of it stays "autocommit, all defaults": so it never sends a BEGIN of its own. What its users read
and set is here, with psycopg2's meaning: in autocommit a mode becomes a default of the session, and is taken back when
autocommit ends.
"""

from __future__ import annotations

from itertools import starmap
from typing import TYPE_CHECKING, Any

import psycopg2
from psycopg2 import extensions

_Changes = dict[str, int | bool | None]
LEVELS = {1: "READ COMMITTED", 2: "REPEATABLE READ", 3: "SERIALIZABLE", 4: "READ UNCOMMITTED"}
_DEFAULTS = {
    "isolation_level": "default_transaction_isolation",
    "readonly": "default_transaction_read_only",
    "deferrable": "default_transaction_deferrable",
}
"""The session's settings behind the modes."""


def _level(value: Any) -> int | None:
    """Return psycopg2's number for an isolation level, None for the default."""
    if value is None:
        return None
    if isinstance(value, int):
        if value in LEVELS:
            return value
        raise ValueError("isolation_level must be between 1 and 4")
    name = (value.decode() if isinstance(value, bytes) else str(value)).upper()
    if name == "DEFAULT":
        return None
    for number, known in LEVELS.items():
        if name == known:
            return number
    raise ValueError(f"bad value for isolation_level: '{value}'")


def _flag(value: Any) -> bool | None:
    """Return what a yes-or-no mode is set to, None for the default."""
    if value is None or (isinstance(value, str) and value.lower() == "default"):
        return None
    if not isinstance(value, str):
        return bool(value)
    raise ValueError(f"the only string accepted is 'default'; got {value}")


if TYPE_CHECKING:
    from contextlib import AbstractContextManager


class Modes:
    """Be a connection's autocommit, isolation level, access mode and deferrability; a mixin."""

    if TYPE_CHECKING:
        closed: int
        async_: int

        @property
        def status(self) -> int: ...

        def rollback(self) -> None: ...
        def say(self, text: Any) -> None: ...
        def settled(self) -> AbstractContextManager[None]: ...

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._autocommit = False
        self._modes: _Changes = dict.fromkeys(_DEFAULTS)

    def begin(self) -> str:
        """Return the BEGIN that these modes ask for."""
        level, readonly, deferrable = self._modes.values()
        begin = "BEGIN"
        begin += f" ISOLATION LEVEL {LEVELS[level]}" if level is not None else ""
        begin += "" if readonly is None else (" READ ONLY" if readonly else " READ WRITE")
        begin += "" if deferrable is None else (" DEFERRABLE" if deferrable else " NOT DEFERRABLE")
        return begin

    def copy_modes(self, other: Modes) -> None:
        """Begin transactions as another connection does; sends nothing."""
        self._autocommit, self._modes = other._autocommit, dict(other._modes)

    @property
    def autocommit(self) -> bool:
        return self._autocommit

    @autocommit.setter
    def autocommit(self, value: Any) -> None:
        self._change({}, autocommit=bool(value))

    @property
    def isolation_level(self) -> int | None:
        return self._modes["isolation_level"]

    @isolation_level.setter
    def isolation_level(self, value: Any) -> None:
        self._change({"isolation_level": _level(value)})

    @property
    def readonly(self) -> Any:
        return self._modes["readonly"]

    @readonly.setter
    def readonly(self, value: Any) -> None:
        self._change({"readonly": _flag(value)})

    @property
    def deferrable(self) -> Any:
        return self._modes["deferrable"]

    @deferrable.setter
    def deferrable(self, value: Any) -> None:
        self._change({"deferrable": _flag(value)})

    def set_session(
        self, isolation_level: Any = None, readonly: Any = None, deferrable: Any = None, autocommit: Any = None
    ) -> None:
        changes: _Changes = {}
        if isolation_level is not None:
            changes["isolation_level"] = _level(isolation_level)
        if readonly is not None:
            changes["readonly"] = _flag(readonly)
        if deferrable is not None:
            changes["deferrable"] = _flag(deferrable)
        self._change(changes, autocommit=None if autocommit is None else bool(autocommit))

    def set_isolation_level(self, level: Any) -> None:
        if isinstance(level, int) and not 0 <= level <= max(LEVELS):
            raise ValueError("isolation level must be between 0 and 4")
        self.rollback()
        if level == extensions.ISOLATION_LEVEL_AUTOCOMMIT:
            self._change({}, autocommit=True)
        else:
            self._change({"isolation_level": _level(level)}, autocommit=False)

    def _change(self, changes: _Changes, *, autocommit: bool | None = None) -> None:
        if self.closed:
            raise psycopg2.InterfaceError("connection already closed")
        if self.async_:
            raise psycopg2.ProgrammingError("set_session cannot be used in asynchronous mode")
        if self.status != extensions.STATUS_READY:
            raise psycopg2.ProgrammingError("set_session cannot be used inside a transaction")
        wanted = self._autocommit if autocommit is None else autocommit
        if wanted:
            said = changes
        else:
            said = {name: None for name, value in self._modes.items() if self._autocommit and value is not None}
        if said:
            with self.settled():
                self.say("; ".join(starmap(_setting, said.items())))
        self._modes |= changes
        self._autocommit = wanted


def _setting(name: str, mode: int | None) -> str:
    if mode is None:
        value = "DEFAULT"
    elif isinstance(mode, bool):
        value = "on" if mode else "off"
    else:
        value = f"'{LEVELS[mode]}'"
    return f"SET {_DEFAULTS[name]} TO {value}"
