"""What a transaction is opened with: its isolation, its access mode, and what it sets for itself alone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from onetrip.errors import ConfigurationError

Isolation = Literal["read committed", "repeatable read", "serializable"]

# A custom setting has a dot: https://www.postgresql.org/docs/current/runtime-config-custom.html
_SETTING = re.compile(r"[A-Za-z_][A-Za-z0-9_$]*(\.[A-Za-z_][A-Za-z0-9_$]*)+")
# Settings that other arguments own, or that would change who the transaction is.
_RESERVED = {"role", "session_authorization", "transaction_isolation", "transaction_read_only", "statement_timeout"}


@dataclass(frozen=True, slots=True)
class Preamble:
    """Hold what a transaction starts with; ``settings`` are ``(name, value)`` pairs for ``set_config(…, true)``."""

    isolation: Isolation | None = None
    read_only: bool = False
    settings: tuple[tuple[str, str], ...] = ()


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
    (``app.user_id`` is fine, ``search_path`` is not), a value that is no string, or an empty role.
    """
    pairs: list[tuple[str, str]] = []
    if statement_timeout is not None:
        pairs.append(("statement_timeout", _milliseconds(statement_timeout)))
    if idle_timeout is not None:
        pairs.append(("idle_in_transaction_session_timeout", _milliseconds(idle_timeout)))
    pairs.extend(_checked(name, value) for name, value in (local or {}).items())
    if role is not None:
        pairs.append(("role", _role(role)))
    return Preamble(_level(isolation), read_only, tuple(pairs))


def _level(isolation: str | None) -> Isolation | None:
    if isolation is None:
        return None
    level = isolation.lower().replace("_", " ")
    for known in get_args(Isolation):
        if level == known:
            return known  # type: ignore[no-any-return]
    raise ConfigurationError(
        f"isolation={isolation!r} is no isolation level", hint="one of: " + ", ".join(get_args(Isolation))
    )


def _milliseconds(seconds: float) -> str:
    if not 0 < seconds < 2_147_483:
        raise ConfigurationError(
            f"statement_timeout={seconds!r} is not between 0 and 2147483 seconds",
            hint="give seconds, not milliseconds; leave it out for the default of the settings",
        )
    return str(max(1, round(seconds * 1000)))


def _checked(name: str, value: str) -> tuple[str, str]:
    if name in _RESERVED or not _SETTING.fullmatch(name):
        raise ConfigurationError(
            f"local={{{name!r}: …}} is not a setting of your own",
            hint="a name with a prefix, such as 'app.user_id'; role=, isolation= and statement_timeout= have arguments",
        )
    if not isinstance(value, str):
        raise ConfigurationError(
            f"local={{{name!r}: …}} is a {type(value).__name__}, not a str", hint=f"write str(…) for {name!r}"
        )
    if "\0" in value:
        raise ConfigurationError(f"local={{{name!r}: …}} holds a NUL byte, which PostgreSQL cannot store")
    return name, value


def _role(role: str) -> str:
    # 'none' would mean "back to the login role", for set_config as for SET ROLE.
    if not role or "\0" in role or role.lower() == "none":
        raise ConfigurationError(f"role={role!r} is no role", hint="the name of a role, without quotes")
    return role
