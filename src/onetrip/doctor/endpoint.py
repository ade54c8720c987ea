"""What answers, by the probe, against what host and settings said; and what else steers the connection unseen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from onetrip._core.endpoint import Kind
from onetrip.doctor.findings import Finding, Level

if TYPE_CHECKING:
    from onetrip._core.probing import Capabilities
    from onetrip._core.url import DatabaseUrl
    from onetrip.doctor.target import Target

_NAMES = {
    Kind.DIRECT: "the server itself",
    Kind.TRANSACTION: "a transaction pooler",
    Kind.SESSION: "a session pooler",
    Kind.UNKNOWN: "unknown",
}
_SETTING = {Kind.DIRECT: "none", Kind.TRANSACTION: "transaction", Kind.SESSION: "session"}
# libpq reads these where the URL says nothing; asyncpg reads few of them. PGSSLROOTCERT is read for all of them by us.
_STEERS = {
    "PGOPTIONS": "options",
    "PGSSLCERT": "sslcert",
    "PGSSLNEGOTIATION": "sslnegotiation",
    "PGCHANNELBINDING": "channel_binding",
    "PGREQUIREAUTH": "require_auth",
    "PGTARGETSESSIONATTRS": "target_session_attrs",
    "PGHOSTADDR": "hostaddr",
    "PGSERVICE": "service",
    "PGTZ": None,
    "PGDATESTYLE": None,
}


def judge_endpoint(target: Target, seen: Capabilities) -> Iterator[Finding]:
    """Compare what the probe saw with what was declared; the proof is part of the finding."""
    declared = target.endpoint.kind
    what = f"{_NAMES[seen.kind]} answers: {seen.proof[0]}"
    if level := _mismatch(target, seen):
        fix = f"DATABASE_POOLER={_SETTING[seen.kind]}"
        if seen.kind is Kind.TRANSACTION:
            fix += ", and MIGRATION_DATABASE_URL=<the same database without the pooler>"
        said = f"DATABASE_POOLER={target.settings.pooler}" + (
            f", which host and port read as {declared}" if target.settings.pooler == "auto" else ""
        )
        yield Finding("pooler-mismatch", level, f"{what}; but {said}", _consequence(declared, seen.kind), fix)
    else:
        yield Finding("endpoint", Level.OK, what)
    yield from _statements(target, seen, mismatch=level is not None)
    if seen.session_state_leaks:
        why = "A SET outside of SET LOCAL changes what the next user's statements mean."
        yield Finding("session-state", Level.NOTE, f"{seen.proof[3]}", why, "SET LOCAL, or db.transaction(local={…})")


def _mismatch(target: Target, seen: Capabilities) -> Level | None:
    declared = target.endpoint.kind
    if seen.kind is declared or (declared is Kind.UNKNOWN and seen.kind is Kind.DIRECT):
        return None
    if seen.kind is Kind.TRANSACTION:
        return Level.WRONG
    if declared is Kind.TRANSACTION:
        # By a provider's naming: its pooler may pin a session that prepares or sets something.
        return Level.NOTE if target.settings.pooler == "auto" else Level.WRONG
    if seen.kind is Kind.SESSION:
        return Level.NOTE if seen.options_arrive else Level.WRONG
    return None  # a session pooler that hides nothing


def _consequence(declared: Kind, seen: Kind) -> str:
    if seen is Kind.TRANSACTION:
        return (
            "Prepared statements break, time-outs sent at the start are refused, and migrations lose their locks, "
            "because nobody knows of the pooler."
        )
    if declared is Kind.TRANSACTION:
        return "Prepared statements and settings for a whole session are given up for nothing."
    return "The pooler refuses the time-outs that are sent to a server at the start of a connection."


def _statements(target: Target, seen: Capabilities, *, mismatch: bool) -> Iterator[Finding]:
    if seen.named_statements_survive:
        unused = target.endpoint.pooled and "statement_cache_size" not in target.url.params
        advice = "; statement_cache_size=100 in the URL has drivers use them" if unused else ""
        yield Finding("prepared-statements", Level.OK, seen.proof[2] + advice)
    elif mismatch and target.endpoint.kind is not Kind.TRANSACTION:
        what, why = seen.proof[2], "Drivers prepare by name, and meet another server process the next time."
        yield Finding("prepared-statements", Level.WRONG, what, why, "DATABASE_POOLER=transaction turns them off")
    else:
        what = "named prepared statements do not survive here, and no driver is let use them"
        yield Finding("prepared-statements", Level.OK, what)


def judge_migrations(target: Target, seen: Capabilities) -> Iterator[Finding]:
    """Say whether migrations reach a server where a session lasts."""
    if seen.kind is Kind.TRANSACTION:
        yield Finding(
            "migration-url-pooled",
            Level.WRONG,
            f"{target.name} leads through a transaction pooler: {seen.proof[0]}",
            "A migration loses its lock half-way, and the lock stays on a server connection that nobody owns.",
            f"{target.name}=<the same database without the pooler>",
        )
    else:
        yield Finding("migration-url", Level.OK, f"{target.name}: {_NAMES[seen.kind]} answers")


def judge_environment(url: DatabaseUrl, environment: Mapping[str, str]) -> Iterator[Finding]:
    """Name variables by which libpq changes the connection, though the URL does not say so."""
    for name, parameter in _STEERS.items():
        if environment.get(name) and parameter not in url.params:
            yield Finding(
                "environment-steers",
                Level.NOTE,
                f"{name} is set: psycopg and psycopg2 obey it, whatever DATABASE_URL says",
                "What works in this shell works differently, or not at all, in another one.",
                f"unset {name}" + (f", and write {parameter}=… into DATABASE_URL" if parameter else ""),
            )
