"""What ``options`` in a URL may hold through a transaction pooler, found out before the pooler refuses a request.

PgBouncer sets what it tracks for each client, and refuses every other parameter, whatever its pool mode
(https://www.pgbouncer.org/config.html, ``track_extra_parameters``). Neon's proxy takes its own words out before.
"""

import re
from collections.abc import Iterator

from onetrip.errors import ConfigurationError

_TRACKED = (
    *("client_encoding", "datestyle", "timezone", "standard_conforming_strings", "application_name"),
    *("intervalstyle", "extra_float_digits"),
)
_FOR_THE_PROXY = r"(endpoint|project)=.*|neon_\w+:.+"
_OURS = {
    "statement_timeout": "set DATABASE_STATEMENT_TIMEOUT (seconds), which travels with each transaction",
    "idle_in_transaction_session_timeout": (
        "set DATABASE_IDLE_IN_TRANSACTION_TIMEOUT (seconds), which travels with each transaction"
    ),
}
# Supavisor reads options in a way of its own; what it refuses, it says itself.
_UNKNOWN = frozenset({"supabase"})


def check_options(options: str, provider: str | None) -> None:
    """Raise ConfigurationError that names the first thing in ``options`` that this pooler refuses."""
    if provider in _UNKNOWN:
        return
    for name, word in _settings(options):
        if provider == "rds-proxy":
            raise ConfigurationError(
                "the database URL has options, and RDS Proxy does not support command-line options",
                hint=_instead(name),
            )
        if name is None:
            raise ConfigurationError(
                f"options in the database URL holds {word!r}, and a pooler takes only -c name=value",
                hint="remove it, or use the direct URL",
            )
        if name.lower() not in _TRACKED:
            raise ConfigurationError(
                f"the database URL sets {name} in options, which a transaction pooler refuses "
                f"(unsupported startup parameter in options: {name})",
                hint=_instead(name),
            )


def _settings(options: str) -> Iterator[tuple[str | None, str]]:
    """Yield each setting's name with the word it stands in; a word that sets nothing has no name."""
    words = iter(re.findall(r"(?:\\.|\S)+", options))
    for word in words:
        if re.fullmatch(_FOR_THE_PROXY, word):
            continue
        pair = next(words, "") if word == "-c" else word.removeprefix("-c") if word.startswith("-c") else word[2:]
        name, equals, _ = pair.partition("=")
        known = word.startswith(("-c", "--")) and equals
        yield (name.replace("-", "_") if known else None), word


def _instead(name: str | None) -> str:
    if name in _OURS:
        return f"remove it, and {_OURS[name]}"
    setting = f"{name} = …" if name else "…"
    return f"remove it, and let the role bring it: ALTER ROLE … SET {setting}; or use the direct URL"
