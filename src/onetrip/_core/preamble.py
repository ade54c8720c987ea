"""What a transaction is opened with: its isolation, its access mode, and what it sets for itself alone.

A setting of one's own, such as ``app.user_id``, exists in a session from its first use on, and then for good: absent,
``current_setting('app.user_id', true)`` is NULL on a connection that never had it and ``''`` on one that had, and
nobody chooses which one they get from a pool. ``''`` must therefore mean nobody. A policy says so with
``NULLIF(current_setting('app.user_id', true), '')``, which is NULL both times: no rows, and no error where it is cast.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple, get_args

from onetrip.errors import ConfigurationError

Isolation = Literal["read committed", "repeatable read", "serializable"]

# A custom setting has a dot: https://www.postgresql.org/docs/current/runtime-config-custom.html
_SETTING = r"[A-Za-z_][A-Za-z0-9_$]*(\.[A-Za-z_][A-Za-z0-9_$]*)+"
_LONGEST_NAME = 63  # NAMEDATALEN - 1, in bytes
_SURROGATE = "[\ud800-\udfff]"
LONGEST = 2_147_483
"""Seconds that PostgreSQL's milliseconds can count to."""


class Preamble(NamedTuple):
    """Hold what a transaction starts with; ``settings`` are ``(name, value)`` pairs for ``set_config(…, true)``."""

    isolation: Isolation | None = None
    read_only: bool = False
    settings: tuple[tuple[str, str], ...] = ()

    @property
    def has_identity(self) -> bool:
        """Say whether it decides as whom the transaction acts: by a role, or by settings that policies read."""
        return any(name == "role" or "." in name for name, _ in self.settings)

    def opening(
        self, *, isolation: str | None = None, read_only: bool = False, deferrable: bool = False
    ) -> tuple[str, ...]:
        """Return the statements that open the transaction, in order; none holds anything to quote, escape or bind.

        The arguments are what SQLAlchemy's execution options add; a level of the preamble's own wins.
        """
        level = self.isolation or isolation
        begin = "BEGIN"
        begin += f" ISOLATION LEVEL {level.upper()}" if level else ""
        begin += " READ ONLY" if self.read_only or read_only else ""
        begin += " DEFERRABLE" if deferrable else ""
        return (begin, settings_sql(self.settings)) if self.settings else (begin,)


def settings_sql(settings: Iterable[tuple[str, str]]) -> str:
    """Set everything in one statement, for this transaction only.

    Names are checked, and names and values travel as hexadecimal digits: nothing in them is left for anybody to quote,
    escape or translate. psycopg2 quotes as ``standard_conforming_strings`` was when it connected, and who changes that
    setting later turns a value into SQL; SJIS and EUC_JP make a backslash of the yen sign.
    """
    # With their schema: a search_path may put other functions of these names first. And the values do not come back:
    # the client's encoding may lack what they hold.
    calls = (f"pg_catalog.set_config({_text_sql(name)}, {_text_sql(value)}, true) IS NULL" for name, value in settings)
    return "SELECT " + ", ".join(calls)


def _text_sql(text: str) -> str:
    return f"pg_catalog.convert_from(pg_catalog.decode('{text.encode().hex()}', 'hex'), 'UTF8')"


def build(
    *,
    isolation: str | None = None,
    read_only: bool = False,
    statement_timeout: float | None = None,
    idle_timeout: float | None = None,
    role: str | None = None,
    local: Mapping[str, str] | None = None,
) -> Preamble:
    """Check what a caller asked for and order it: time-out, local settings, role last.

    The role comes last because it may not be allowed to change what comes before it. The time-outs are in
    seconds. Raises ``ConfigurationError`` for an unknown isolation level, a setting without a prefix of its own
    (``app.user_id`` is fine, ``search_path`` is not), a value that is no string or that PostgreSQL cannot store, or a
    role whose name is empty or too long.
    """
    pairs: list[tuple[str, str]] = []
    if statement_timeout is not None:
        pairs.append(("statement_timeout", milliseconds(statement_timeout)))
    if idle_timeout is not None:
        pairs.append(("idle_in_transaction_session_timeout", milliseconds(idle_timeout)))
    pairs.extend(_checked(name, value) for name, value in (local or {}).items())
    if role is not None:
        pairs.append(("role", _role(role)))
    return Preamble(_level(isolation), read_only, tuple(pairs))


def seconds(wanted: float) -> float:
    """Return a time-out that a caller asked for; raise ``ConfigurationError`` for one that cannot be meant."""
    try:
        fits = 0 < wanted <= LONGEST
    except (TypeError, ArithmeticError):
        fits = False
    if not fits:
        raise ConfigurationError(
            f"statement_timeout={wanted!r} is not between 0 and {LONGEST} seconds",
            hint="give seconds, not milliseconds; leave it out for the default of the settings",
        )
    return wanted


def milliseconds(wanted: float) -> str:
    """Write a time-out as PostgreSQL counts it; however short, it never becomes 0, which would be without limit."""
    return str(max(1, round(min(wanted, LONGEST) * 1000)))


def _level(isolation: object) -> Isolation | None:
    if isolation is None:
        return None
    level = str(isolation).lower().replace("_", " ")
    for known in get_args(Isolation):
        if level == known:
            return known  # type: ignore[no-any-return]
    raise ConfigurationError(
        f"isolation={isolation!r} is no isolation level", hint="one of: " + ", ".join(get_args(Isolation))
    )


def _checked(name: object, value: object) -> tuple[str, str]:
    if not isinstance(name, str) or not re.fullmatch(_SETTING, name):
        raise ConfigurationError(
            f"local={{{name!r}: …}} is not a setting of your own",
            hint="a name with a prefix, such as 'app.user_id'; role=, isolation= and statement_timeout= have arguments",
        )
    return name, _text(f"local={{{name!r}: …}}", value)


def _role(given: object) -> str:
    role = _text("role", given)
    # 'none' would mean "back to the login role", for set_config as for SET ROLE.
    if not role or role.lower() == "none":
        raise ConfigurationError(f"role={role!r} is no role", hint="the name of a role, without quotes")
    # The server cuts a longer name off, and the transaction would act as whoever is called by the rest.
    if len(role.encode()) > _LONGEST_NAME:
        raise ConfigurationError(
            f"role={role!r} is {len(role.encode())} bytes long, a name has at most {_LONGEST_NAME}",
            hint="the name that pg_roles shows",
        )
    return role


def _text(what: str, value: object) -> str:
    """Return text that PostgreSQL can store; what it holds may be private, so no message repeats it."""
    if not isinstance(value, str):
        hint = "leave it out; '' is a value, and not the same" if value is None else "write str(…) around it"
        raise ConfigurationError(f"{what} is of type {type(value).__name__}, not a str", hint=hint)
    if "\0" in value:
        raise ConfigurationError(f"{what} holds a NUL character, which PostgreSQL cannot store")
    if found := re.search(_SURROGATE, value):
        raise ConfigurationError(
            f"{what} holds half a character (U+{ord(found[0]):04X} at {found.start()}), which UTF-8 cannot write",
            hint="decode its bytes with errors='replace', or refuse such input where it comes in",
        )
    return value
