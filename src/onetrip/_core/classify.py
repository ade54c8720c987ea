"""What a driver's exception means: the one place that knows SQLSTATEs and texts.

The same failure comes in several shapes. libpq (psycopg, psycopg2) reports all that happens before the first query
without a SQLSTATE, so only its text tells a refused port from a wrong password. asyncpg raises bare ``OSError``s for
what the network does and carries a SQLSTATE for what the server says. SQLAlchemy wraps some of these and not others.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from onetrip import errors as e
from onetrip._core.secrets import redact
from onetrip.errors import DatabaseError, Phase, Retry

# https://www.postgresql.org/docs/current/errcodes-appendix.html
_BY_STATE: dict[str, type[DatabaseError]] = {
    "23505": e.UniqueViolation,
    "23001": e.ForeignKeyViolation,  # ON DELETE RESTRICT since PostgreSQL 18
    "23503": e.ForeignKeyViolation,
    "23502": e.NotNullViolation,
    "23514": e.CheckViolation,
    "23P01": e.ExclusionViolation,
    "25006": e.ReadOnlyViolation,
    "25P03": e.ConnectionLost,
    "26000": e.PreparedStatementLost,
    "28000": e.AuthenticationFailed,
    "28P01": e.AuthenticationFailed,
    "3D000": e.DatabaseMissing,
    "40001": e.SerializationFailure,
    "40P01": e.DeadlockDetected,
    "42501": e.PermissionDenied,
    "42P05": e.PreparedStatementLost,
    "53100": e.StorageFull,
    "53300": e.TooManyConnections,
    "55P03": e.LockTimeout,
    "57014": e.StatementTimeout,
    "57P01": e.ConnectionLost,
    "57P02": e.ConnectionLost,
    "57P03": e.DatabaseWaking,
    "57P05": e.ConnectionLost,
}
_BY_CLASS: dict[str, type[DatabaseError]] = {
    "08": e.ConnectionLost,
    "22": e.InvalidData,
    "23": e.IntegrityViolation,
    "42": e.InvalidStatement,
}
# A connection that dies while it is being made was never open.
_WHILE_CONNECTING: dict[type[DatabaseError], type[DatabaseError]] = {
    e.ConnectionLost: e.DatabaseWaking,
    e.StatementTimeout: e.ConnectTimeout,
}

# Compiled when something fails, and not at every start: `re` keeps what it compiled.
_CONNECT_TEXTS: tuple[tuple[str, type[DatabaseError]], ...] = (
    (r"password authentication failed|no password supplied|role \".*\" does not exist", e.AuthenticationFailed),
    (r"database \".*\" does not exist|does not exist.*database|no such database", e.DatabaseMissing),
    (r"no pg_hba\.conf entry.*no encryption|connection is insecure", e.TlsRefused),
    (r"no pg_hba\.conf entry|is not allowed to connect|blocked network|VPC endpoint ID", e.AddressRefused),
    (r"endpoint ID is not specified|inconsistent project name|project name \('.*'\) must", e.EndpointUnknown),
    (r"endpoint cannot be found|tenant or user not found", e.EndpointUnknown),
    (r"endpoint (is|has been) disabled", e.EndpointDisabled),
    (r"control plane request failed|endpoint is (temporarily unavailable|idle)", e.DatabaseWaking),
    (r"quota|limit of concurrently active endpoints|active endpoints limit", e.QuotaExceeded),
    (r"unsupported (options )?startup parameter", e.StartupRefused),
    (r"authentication (timed out|query failed)|server login has been failing", e.DatabaseWaking),
    (r"client_login_timeout|server shutting down", e.DatabaseWaking),
    (r"authentication failed|not permitted to log in|no such user", e.AuthenticationFailed),
    (
        r"too many (clients|(database )?connection)|slots are reserved|acquire permit|max[_ ]client|query_wait",
        e.TooManyConnections,
    ),
    (r"database system is (starting up|shutting down|in recovery|not yet accepting)", e.DatabaseWaking),
    (r"terminating connection due to administrator command|couldn't connect to compute node", e.DatabaseWaking),
    (r"failed to resolve host|could not translate host name|name or service not known|gaierror", e.HostUnknown),
    (r"certificate|does not support SSL|rejected SSL|SSL error|channel binding|sslmode", e.TlsRefused),
    (r"time(d )?out", e.ConnectTimeout),
    (
        r"refused|no such file or directory|no route to host|network is unreachable|reset by peer",
        e.DatabaseUnreachable,
    ),
    (r"reset by peer|closed the connection|connection was closed|eof detected|broken pipe", e.DatabaseUnreachable),
)
_STATEMENT_TEXTS: tuple[tuple[str, type[DatabaseError]], ...] = (
    ("cached (statement )?plan", e.StalePlan),
    ("query_wait_timeout|max_client_conn", e.TooManyConnections),
)
_SAYS_NOTHING = {"XX000", "08P01", "28000", "28P01"}
"""What proxies and poolers put on whatever they have to say while connecting: there the text comes first."""
_LOST_TEXTS = (
    r"closed the connection|connection (is|was|has been|already) closed|connection is lost|eof detected"
    r"|connection reset|broken pipe|terminating connection|connection not open|could not (receive|send) data"
    r"|connection has been closed|connection pointer is null|no connection to the server|connection timed out"
    r"|cannot exit pipeline mode while busy"
    r"|received \d+ results from command"  # psycopg, where a pooler adds its own farewell to the server's
)


@dataclass(frozen=True, slots=True)
class Facts:
    """Hold what can be read off an exception without knowing which driver raised it."""

    driver_error: BaseException
    sqlstate: str | None
    constraint: str | None
    text: str
    names: frozenset[str]
    """The class names in the method resolution orders of the chain."""


def chain(error: BaseException) -> Iterator[BaseException]:
    """Yield the exception, what SQLAlchemy wrapped in it, and what the driver raised below, outermost first."""
    seen: set[int] = set()
    current: BaseException | None = error
    # asyncio's own CancelledError may hang below a TimeoutError; it is no Exception and says nothing.
    while isinstance(current, Exception) and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = getattr(current, "orig", None) or current.__cause__


def facts(error: BaseException) -> Facts:
    """Read SQLSTATE, constraint and text off an exception chain; the innermost one is the driver's own."""
    links = list(chain(error))
    return Facts(
        driver_error=links[-1],
        sqlstate=_first(links, "sqlstate", "pgcode"),
        constraint=_first(links, "constraint_name"),
        text=next((text for link in reversed(links) if (text := str(link).strip())), ""),
        names=frozenset(kind.__name__ for link in links for kind in type(link).__mro__),
    )


def _first(links: list[BaseException], *names: str) -> str | None:
    for link in links:
        for holder in (link, getattr(link, "diag", None)):
            for name in names:
                value = getattr(holder, name, None)
                if isinstance(value, str) and value:
                    return value
    return None


def classify(found: Facts, phase: Phase) -> type[DatabaseError]:
    """Return the class of our tree that says what happened."""
    by_state = _by_state(found.sqlstate)
    if phase is Phase.CONNECT:
        return _while_connecting(found, by_state)
    if found.sqlstate in {None, "08P01", "0A000"} and (said := _by_text(_STATEMENT_TEXTS, found.text)):
        return said
    if found.sqlstate == "22023" and found.text.startswith('role "'):
        return e.InvalidStatement  # role= names nobody: no data of a client's is wrong
    if by_state is not None and by_state is not e.ConnectionLost:
        return by_state
    if by_state is e.ConnectionLost or _is_lost(found):
        return e.CommitUnknown if phase is Phase.COMMIT else e.ConnectionLost
    return e.InvalidData if "DataError" in found.names else DatabaseError  # the driver refused it: no SQLSTATE


def _by_state(sqlstate: str | None) -> type[DatabaseError] | None:
    if sqlstate is None:
        return None
    return _BY_STATE.get(sqlstate) or _BY_CLASS.get(sqlstate[:2])


def _by_text(known: tuple[tuple[str, type[DatabaseError]], ...], text: str) -> type[DatabaseError] | None:
    return next((kind for pattern, kind in known if _says(pattern, text)), None)


def _says(pattern: str, text: str) -> bool:
    return re.search(pattern, text, re.IGNORECASE) is not None


def _while_connecting(found: Facts, by_state: type[DatabaseError] | None) -> type[DatabaseError]:
    refusal = by_state if by_state and issubclass(by_state, e.ConnectFailed) else None
    if refusal and found.sqlstate not in _SAYS_NOTHING:
        return refusal
    if "gaierror" in found.names:
        return e.HostUnknown
    if "SSLError" in found.names:
        return e.TlsRefused
    if said := _by_text(_CONNECT_TEXTS, found.text) or refusal:
        return said
    if "TimeoutError" in found.names:
        return e.ConnectTimeout
    if "OSError" in found.names:
        return e.DatabaseUnreachable
    if by_state is None or found.sqlstate in _SAYS_NOTHING:
        return e.ConnectFailed
    return _WHILE_CONNECTING.get(by_state, e.ConnectFailed)


def _is_lost(found: Facts) -> bool:
    if found.sqlstate is not None:
        return False
    gone = {"ConnectionDoesNotExistError", "ConnectionResetError", "BrokenPipeError"}
    return bool(gone & found.names) or _says(_LOST_TEXTS, found.text)


def explain(found: Facts, kind: type[DatabaseError], phase: Phase, where: str) -> DatabaseError:
    """Build the error: one sentence with the server's own words; ``where`` names host, port and database."""
    words = redact(plain(found.text)) or type(found.driver_error).__name__
    what = {
        Phase.CONNECT: f"could not connect to {where}: {words}",
        Phase.COMMIT: f"COMMIT failed: {words}",
    }.get(phase, words)
    if kind is e.CommitUnknown:
        what = f"the connection was lost while COMMIT was under way: {words}"
    return kind(
        what, phase=phase, sqlstate=found.sqlstate, constraint=found.constraint, retry=_verdict(found, kind, phase)
    )


def _verdict(found: Facts, kind: type[DatabaseError], phase: Phase) -> Retry:
    if found.sqlstate == "25P03":
        return Retry.NO  # the transaction was left idle for too long: it would be so again
    if kind is e.ConnectionLost and phase is Phase.COMMIT:
        return Retry.UNKNOWN
    return kind.retry


def plain(text: str) -> str:
    """Drop libpq's preface and its second lines: the first sentence says what happened."""
    first = text.splitlines()[0] if text else ""
    first = re.sub(r"^connection (failed|is bad): ", "", first)
    first = re.sub(r"^connection to server (at|on) .*? failed: ", "", first)
    return re.sub(r"^(FATAL|ERROR):\s+", "", first)
