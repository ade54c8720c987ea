"""The server's own figures, in a handful of statements that change nothing."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from onetrip._engine.probe import Connection

Row = dict[str, Any]

_ROLE = """
SELECT current_user AS "user", session_user AS login, r.rolsuper AS superuser, r.rolbypassrls AS bypasses_rls,
       l.rolconnlimit AS role_limit, d.datname AS database, d.datconnlimit AS database_limit,
       current_setting('max_connections')::int AS max_connections,
       current_setting('superuser_reserved_connections')::int
         + coalesce(current_setting('reserved_connections', true), '0')::int AS reserved,
       pg_is_in_recovery() AS replica,
       EXISTS (SELECT FROM pg_db_role_setting s, unnest(s.setconfig) c
               WHERE s.setrole IN (0, l.oid) AND c LIKE 'role=%') AS brings_a_role,
       r.rolsuper OR pg_has_role(r.oid, 'pg_read_all_stats', 'USAGE') AS sees_all,
       (SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()) AS encrypted_to_the_server
FROM pg_roles r, pg_roles l, pg_database d
WHERE r.rolname = current_user AND l.rolname = session_user AND d.datname = current_database()
"""
# What PgBouncer sets for each client by itself is no leak; source "session" is a SET, and we sent none.
_SETTINGS = """
SELECT name, setting, source,
       source = 'session' AND name NOT IN ('client_encoding', 'DateStyle', 'TimeZone', 'standard_conforming_strings',
                                           'application_name', 'IntervalStyle', 'extra_float_digits') AS leaked
FROM pg_settings
WHERE source = 'session' OR name IN ('search_path', 'default_transaction_read_only', 'statement_timeout')
ORDER BY name = 'search_path' DESC, name
"""
_SESSIONS = """
SELECT pid, usename AS "user", datname AS database, application_name, state, backend_type,
       wait_event_type = 'Lock' AS blocked,
       CASE WHEN wait_event_type = 'Lock' THEN pg_blocking_pids(pid) ELSE '{}' END AS blocked_by,
       extract(epoch FROM clock_timestamp() - state_change)::float8 AS since, query ILIKE 'LISTEN %' AS listens
FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND coalesce(application_name, '') NOT LIKE 'onetrip probe'
"""
_ROW_SECURITY = """
SELECT c.oid::regclass::text AS "table", c.relforcerowsecurity AS forced,
       pg_has_role(current_user, c.relowner, 'USAGE') AS owned,
       -- a role that this one may SET, and that policies bind
       (SELECT min(r.rolname) FROM pg_roles r
        WHERE r.oid <> c.relowner AND NOT r.rolsuper AND NOT r.rolbypassrls AND r.rolname !~ '^pg_'
          AND pg_has_role(session_user, r.oid, 'MEMBER') AND has_table_privilege(r.oid, c.oid, 'SELECT')
          AND r.rolname <> session_user AND NOT pg_has_role(r.oid, c.relowner, 'USAGE')) AS bound
FROM pg_class c WHERE c.relrowsecurity AND c.relkind IN ('r', 'p') AND has_table_privilege(c.oid, 'SELECT')
ORDER BY 1 LIMIT 1000
"""
_ALEMBIC = """
SELECT n.nspname AS schema, pg_table_is_visible(c.oid) AS visible, has_table_privilege(c.oid, 'SELECT') AS readable
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relname = 'alembic_version' AND c.relkind = 'r' ORDER BY 2 DESC, 1
"""
_REPLICATION = """
SELECT (SELECT count(*) FROM pg_stat_replication) AS senders,
       (SELECT count(*) FROM pg_replication_slots WHERE active) AS slots
"""
_BUSY = """
SELECT sessions, session_time, active_time, idle_in_transaction_time
FROM pg_stat_database WHERE datname = current_database()
"""


@dataclass(frozen=True, slots=True)
class Facts:
    """Hold what the server said; a part that it would not say is empty, and ``unsaid`` has its words."""

    version: int
    """As ``server_version_num``: 150004 is 15.4."""
    skew: float = 0.0
    """Server's clock minus ours, in seconds, after half a round trip."""
    round_trip: float = 0.0
    role: Row = field(default_factory=dict)
    settings: tuple[Row, ...] = ()
    sessions: tuple[Row, ...] = ()
    row_security: tuple[Row, ...] = ()
    alembic: tuple[Row, ...] = ()
    replication: Row = field(default_factory=dict)
    busy: Row = field(default_factory=dict)
    unsaid: dict[str, str] = field(default_factory=dict)

    @property
    def clients(self) -> tuple[Row, ...]:
        """The sessions of clients; of other roles' sessions the server may not say what they are."""
        return tuple(row for row in self.sessions if row["backend_type"] in {"client backend", None} and row["user"])


def ask(connection: Connection) -> Facts:
    """Ask everything; what fails is left out and noted."""
    unsaid: dict[str, str] = {}
    answers: dict[str, list[Row]] = {}
    statements = {
        "role": _ROLE,
        "settings": _SETTINGS,
        "sessions": _SESSIONS,
        "row_security": _ROW_SECURITY,
        "alembic": _ALEMBIC,
        "replication": _REPLICATION,
        "busy": _BUSY,
    }
    for name, statement in statements.items():
        answers[name] = _rows(connection, name, statement, unsaid)
    alembic = [_revisions(connection, row, unsaid) for row in answers["alembic"]]
    skew, round_trip = _clock(connection)
    role, replication, busy = ((answers[name] or [{}])[0] for name in ("role", "replication", "busy"))
    return Facts(
        version=connection.info.server_version,
        skew=skew,
        round_trip=round_trip,
        role=role,
        settings=tuple(answers["settings"]),
        sessions=tuple(answers["sessions"]),
        row_security=tuple(answers["row_security"]),
        alembic=tuple(alembic),
        replication=replication,
        busy=busy,
        unsaid=unsaid,
    )


def _rows(connection: Connection, name: str, statement: str | sql.Composed, unsaid: dict[str, str]) -> list[Row]:
    try:
        with connection.cursor(row_factory=dict_row) as cursor:
            query = statement.encode() if isinstance(statement, str) else statement
            return cursor.execute(query).fetchall()
    except psycopg.Error as error:
        if connection.closed:
            raise
        unsaid[name] = str(error).partition("\n")[0]
        return []


def _revisions(connection: Connection, row: Row, unsaid: dict[str, str]) -> Row:
    if not row["readable"]:
        return row | {"revisions": None}
    statement = sql.SQL("SELECT version_num FROM {} ORDER BY 1").format(
        sql.Identifier(row["schema"], "alembic_version")
    )
    return row | {"revisions": [found["version_num"] for found in _rows(connection, "alembic", statement, unsaid)]}


def _clock(connection: Connection) -> tuple[float, float]:
    """Compare the clocks over the shortest of three round trips: a pause in one would count as skew."""
    tries = []
    for _ in range(3):
        before = time.time()
        row = connection.execute("SELECT extract(epoch FROM clock_timestamp())::float8").fetchone()
        after = time.time()
        assert row is not None
        tries.append((after - before, row[0] - (before + after) / 2))
    round_trip, skew = min(tries)
    return skew, round_trip
