"""What the server's figures mean for this application: facts in, findings out, nothing is asked or opened here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from onetrip._core.endpoint import Kind, pooled_twin
from onetrip.doctor.findings import Finding, Level

if TYPE_CHECKING:
    from onetrip._core.endpoint import Endpoint
    from onetrip._core.url import DatabaseUrl
    from onetrip.doctor.deployment import Deployment
    from onetrip.doctor.server import Facts, Row

FLOOR = 150000
"""PostgreSQL 15 is the oldest that is supported."""
SKEW = 5.0  # seconds that two clocks may differ: tokens and signed URLs usually allow this much
STUCK = 30.0  # seconds in which a transaction without a statement stops being a pause
CROWD = 100  # concurrent users, ADR-005's first trigger
NEAR = 0.8  # share of the limit that counts as approached
AWAKE = 300.0  # seconds after which Neon suspends


@dataclass(frozen=True, slots=True)
class Case:
    """Hold what is judged: the server's figures, and what they have to be enough for."""

    facts: Facts
    url: DatabaseUrl
    endpoint: Endpoint
    kind: Kind
    """As the probe saw it, or as host and settings say where there was no probe."""
    deployment: Deployment
    serious: bool
    """Preview or production, where a superuser is no convenience but a danger."""

    @property
    def seats(self) -> int:
        """Return how many connections this role can have at most, everybody else's included."""
        role = self.facts.role
        limits: list[int] = [role["max_connections"] - (0 if role["superuser"] else role["reserved"])]
        limits += [role[name] for name in ("role_limit", "database_limit") if role[name] >= 0]
        return max(min(limits), 0)


def judge(case: Case) -> Iterator[Finding]:
    """Yield every finding, causes before consequences."""
    yield from _version(case)
    yield from _settings(case)
    if case.facts.role:
        yield from _rights(case)
        yield from _budget(case)
    yield from _sessions(case)
    yield from _clock(case)
    yield from _migrations(case)
    yield from _awake(case)
    if case.facts.role:
        yield from _triggers(case)
    for name, said in case.facts.unsaid.items():
        yield Finding(
            f"not-examined-{name}".replace("_", "-"), Level.NOTE, f"the server would not say ({name}): {said}"
        )


def _version(case: Case) -> Iterator[Finding]:
    version = f"PostgreSQL {case.facts.version // 10000}.{case.facts.version % 10000}"
    if case.facts.version < FLOOR:
        why = "Statements that onetrip sends are not all known to it, and nobody tests them there."
        yield Finding(
            "server-too-old", Level.WRONG, f"{version} is older than 15", why, "upgrade the server to 15 or later"
        )
    else:
        yield Finding("server-version", Level.OK, version)


def _settings(case: Case) -> Iterator[Finding]:
    for row in case.facts.settings:
        if row["leaked"] and row["name"] not in case.url.params.get("options", ""):
            yield _leaked(row)
        elif row["name"] == "default_transaction_read_only" and row["setting"] == "on":
            yield _read_only(case, row)
    role = case.facts.role
    if role and role["user"] != role["login"] and not role["brings_a_role"]:
        yield _leaked({"name": "role", "setting": role["user"]})
    if role and role["replica"]:
        why = "Every write fails with 25006."
        yield Finding(
            "replica", Level.WRONG, "the server is a read-only replica", why, "use the primary's host in DATABASE_URL"
        )


def _leaked(row: Row) -> Finding:
    name = row["name"]
    return Finding(
        "session-state-leaked",
        Level.WRONG,
        f"{name} is {row['setting']!r} on a connection on which nobody of us set it",
        "Somebody's SET stayed on a pooled server connection, and whoever comes next works under it.",
        f"where it is set: SET LOCAL {name}, or db.transaction(local={{…}}); PgBouncer's RECONNECT clears it now",
    )


def _read_only(case: Case, row: Row) -> Finding:
    role = case.facts.role
    fix = {
        "user": f"ALTER ROLE {role.get('login')} RESET default_transaction_read_only",
        "database user": f"ALTER ROLE {role.get('login')} IN DATABASE {role.get('database')} RESET "
        "default_transaction_read_only",
        "database": f"ALTER DATABASE {role.get('database')} RESET default_transaction_read_only",
        "client": "remove default_transaction_read_only from options= in DATABASE_URL",
    }.get(
        row["source"], "default_transaction_read_only = off in the server's settings; at a provider: is storage full?"
    )
    what = f"every transaction is read-only by default (default_transaction_read_only, from: {row['source']})"
    return Finding("read-only-default", Level.WRONG, what, "Every write fails with 25006.", fix)


def _rights(case: Case) -> Iterator[Finding]:
    role, tables = case.facts.role, case.facts.row_security
    user = role["login"]
    everything = role["superuser"] or role["bypasses_rls"]
    void = [row["table"] for row in tables if everything or (row["owned"] and not row["forced"])]
    bound = {row["bound"] for row in tables if row["table"] in void}
    if void:
        power = "is a superuser" if role["superuser"] else "has BYPASSRLS" if role["bypasses_rls"] else "owns the table"
        fix = f"ALTER TABLE {void[0]} FORCE ROW LEVEL SECURITY"
        if everything:
            fix = "CREATE ROLE app_user NOINHERIT NOBYPASSRLS; GRANT its tables; then db.transaction(role='app_user')"
        yield Finding(
            "row-security-void",
            Level.WRONG if None in bound else Level.NOTE,
            f"row-level security is void for {user}, who {power}: {', '.join(void[:3])}{' …' * (len(void) > 3)}",
            "Policies are there and bind nobody: each user sees every row.",
            fix if None in bound else f"db.transaction(role='{min(bound)}'), which they bind, everywhere",
        )
    elif tables:
        yield Finding("row-security", Level.OK, f"row-level security binds {user} on {len(tables)} tables")
    if role["superuser"]:
        yield Finding(
            "superuser",
            Level.WRONG if case.serious else Level.NOTE,
            f"{user} is a superuser",
            "An injected statement reads files and runs programs on the server, and it takes the reserved connections.",
            "CREATE ROLE app LOGIN PASSWORD '…'; GRANT what it needs; and that role in DATABASE_URL",
        )


def _budget(case: Case) -> Iterator[Finding]:
    want, role = case.deployment.connections, case.facts.role
    seats = case.seats
    parts = f"max_connections {role['max_connections']}, {role['reserved']} of them reserved"
    parts += "".join(
        f", limit of the {name} {role[f'{name}_limit']}" for name in ("role", "database") if role[f"{name}_limit"] >= 0
    )
    if case.kind is Kind.TRANSACTION:
        what = f"{case.deployment} = {want} clients of the pooler; the server has {seats} connections ({parts})"
        yield Finding("pool-budget", Level.OK, what)
    elif want > seats:
        processes = case.deployment.workers * case.deployment.replicas
        fix = f"DATABASE_POOL_MAX={seats // processes}" if seats >= processes else "fewer workers, or the pooled URL"
        yield Finding(
            "pool-over-limit",
            Level.WRONG,
            f"{case.deployment} = {want} connections, and the server has {seats} ({parts})",
            "Under load the last ones are refused (53300), migrations and this doctor as well.",
            fix,
        )
    else:
        yield Finding("pool-budget", Level.OK, f"{case.deployment} = {want} connections of {seats} ({parts})")


def _sessions(case: Case) -> Iterator[Finding]:
    blockers = {pid for row in case.facts.clients for pid in row["blocked_by"]}
    idle = [row for row in case.facts.clients if (row["state"] or "").startswith("idle in transaction")]
    for row in idle:
        blocks = row["pid"] in blockers
        if not blocks and row["since"] < 1:
            continue  # between two statements of a busy transaction
        who = f"process {row['pid']} ({row['application_name'] or row['user']})"
        what = f"{who} sits in a transaction without a statement for {row['since']:.0f} s"
        yield Finding(
            "idle-in-transaction",
            Level.WRONG if blocks or row["since"] >= STUCK else Level.NOTE,
            what + (", and others wait for its locks" if blocks else ""),
            "It holds its locks, its connection and what VACUUM may not remove.",
            f"SELECT pg_terminate_backend({row['pid']}); then end the transaction before slow calls in that code",
        )


def _clock(case: Case) -> Iterator[Finding]:
    skew = case.facts.skew
    sure = abs(skew) - case.facts.round_trip / 2
    ahead = "ahead of" if skew > 0 else "behind"
    if sure > SKEW:
        why = "Tokens, signed URLs and created_at columns are judged by clocks that disagree."
        fix = "turn on time synchronisation (NTP) on the machine whose clock is wrong: timedatectl set-ntp true"
        what = f"the server's clock is {abs(skew):.1f} s {ahead} this machine's"
        yield Finding("clock-skew", Level.WRONG, what, why, fix)
    else:
        yield Finding("clock-skew", Level.OK, f"the clocks agree within {max(abs(skew), 0.001) * 1000:.0f} ms")


def _migrations(case: Case) -> Iterator[Finding]:
    tables = case.facts.alembic
    if not tables:
        if "alembic" not in case.facts.unsaid:
            yield Finding("migrations", Level.NOTE, "there is no alembic_version table: Alembic never migrated here")
        return
    seen = tables[0]
    if not seen["visible"]:
        yield Finding(
            "migrations-hidden",
            Level.WRONG,
            f"alembic_version is in schema {seen['schema']}, where search_path does not lead",
            "The next `alembic upgrade head` finds no table, and begins from the first migration.",
            f"ALTER ROLE {case.facts.role.get('login', '…')} SET search_path = {seen['schema']}, public",
        )
    elif seen["revisions"] is None:
        yield Finding("migrations", Level.NOTE, f"this role may not read {seen['schema']}.alembic_version")
    elif len(seen["revisions"]) > 1:
        yield Finding(
            "alembic-heads",
            Level.WRONG,
            f"the migrations have {len(seen['revisions'])} heads: {', '.join(seen['revisions'])}",
            "`alembic upgrade head` refuses: it does not know which one.",
            "alembic merge heads -m 'merge'; commit the file; alembic upgrade head",
        )
    else:
        at = ", ".join(seen["revisions"]) or "the base: no migration has run"
        yield Finding("migrations", Level.OK, f"{seen['schema']}.alembic_version is at {at}")


def _awake(case: Case) -> Iterator[Finding]:
    """Name what counts as activity where a database without any is suspended."""
    if not case.endpoint.sleeps:
        return
    facts = case.facts
    for row in facts.sessions:
        busy = row["state"] is not None and row["since"] is not None and row["since"] < AWAKE
        if row["backend_type"] == "autovacuum worker":
            yield _keeps("autovacuum is at work; it ends by itself", "nothing")
        elif busy and row["backend_type"] == "client backend":
            who = row["application_name"] or row["user"]
            did = "listens" if row["listens"] else f"sent a statement {row['since']:.0f} s ago"
            what = f"{who} (process {row['pid']}) {did}"
            yield _keeps(what, f"no keep-alive queries, health checks or schedulers against the database in {who}")
    if facts.replication.get("senders") or facts.replication.get("slots"):
        yield _keeps("a replication connection is open", "drop the subscription or slot that nobody needs")


def _keeps(what: str, fix: str) -> Finding:
    why = "Until nobody has sent anything for five minutes, the compute runs, and is paid for."
    return Finding("keeps-awake", Level.NOTE, f"keeps the database awake: {what}", why, fix)


def _triggers(case: Case) -> Iterator[Finding]:
    """Say by the server's own figures whether it is time for a pooler: ADR-005's four triggers."""
    clients, seats = case.facts.clients, case.seats
    running = [row for row in clients if row["state"] == "active"]
    waiting = [row for row in clients if row["blocked"]]
    busy = case.facts.busy
    share = busy["active_time"] / busy["session_time"] if busy.get("session_time") else None
    due = []
    if len(running) > CROWD:
        due.append(f"{len(running)} sessions work at once (more than {CROWD})")
    if len(waiting) > max(len(running) // 4, 2):
        due.append(f"{len(waiting)} of {len(running)} wait for locks")
    if seats and len(clients) >= NEAR * seats:
        due.append(f"{len(clients)} of {seats} connections are taken")
    figures = f"{len(clients)} of {seats} connections taken, {len(running)} active, {len(waiting)} waiting for locks"
    figures += f"; sessions work {share:.0%} of their time" if share is not None else ""
    if not case.facts.role["sees_all"]:
        figures += " (of other roles' sessions this role sees the number only)"
    if due and case.kind is not Kind.TRANSACTION:
        twin = pooled_twin(case.url)
        fix = (
            f"DATABASE_URL={twin}, and MIGRATION_DATABASE_URL={case.url}" if twin else "put a pooler before the server"
        )
        if share is not None and share < 0.2:
            due.append(f"sessions work {share:.0%} of their time: a pooler would serve many by few")
        why = "These are the signs by which one direct connection stops being enough (ADR-005)."
        yield Finding("pooler-due", Level.NOTE, "; ".join(due), why, fix)
    yield Finding("load", Level.OK, figures)
