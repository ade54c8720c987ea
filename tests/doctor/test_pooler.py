"""What a pooler does that nobody declared: found by trying, with the setting to write."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from onetrip.doctor import Level
from tests.doctor.conftest import Look, cause, found
from tests.harness.pgbouncer import PgBouncer
from tests.harness.postgres import Postgres
from tests.harness.process import free_port


@contextmanager
def pooler(postgres: Postgres, mode: Any = "transaction", **settings: Any) -> Iterator[PgBouncer]:
    """Run a pooler for one test."""
    bouncer = PgBouncer(postgres, mode, **settings)
    try:
        bouncer.start()
        yield bouncer
    finally:
        bouncer.stop()
        bouncer.remove()


def test_a_declared_transaction_pooler_is_fine(look: Look, pooled_url: str, database_url: str) -> None:
    """Declared, and with a direct URL for migrations, nothing is wrong; that statements do not survive is known."""
    report = look(pooled_url, DATABASE_POOLER="transaction", MIGRATION_DATABASE_URL=database_url)
    assert not report.wrong, report.findings
    assert report.facts["endpoint"]["seen"] == "transaction"
    assert "still connected" in found(report, "endpoint").what
    assert "no driver is let use them" in found(report, "prepared-statements").what
    assert found(report, "migration-url").level is Level.OK
    assert "clients of the pooler" in found(report, "pool-budget").what


def test_an_undeclared_transaction_pooler(look: Look, pooled_url: str) -> None:
    """Under a name of its own it looks like a server; the process that it hands on gives it away."""
    report = look(pooled_url)
    first = cause(report, "pooler-mismatch")
    assert "DATABASE_POOLER=transaction" in first.fix
    assert "still connected" in first.what
    assert found(report, "prepared-statements").level is Level.WRONG


def test_named_statements_that_do_not_survive(look: Look, pooled_url: str) -> None:
    """A transaction pooler declared as a session pooler: drivers prepare, and lose what they prepared."""
    report = look(pooled_url, DATABASE_POOLER="session")
    assert "DATABASE_POOLER=transaction" in cause(report, "pooler-mismatch").fix
    assert "already exists" in found(report, "prepared-statements").what


def test_a_session_pooler_declared_as_transaction(look: Look, pgbouncer_session: PgBouncer, database: str) -> None:
    """Nothing breaks, and much is given up for nothing: the other setting is named."""
    report = look(
        pgbouncer_session.url(database),
        DATABASE_POOLER="transaction",
        MIGRATION_DATABASE_URL=pgbouncer_session.upstream.url(database),
    )
    assert cause(report, "pooler-mismatch").fix == "DATABASE_POOLER=session"
    pgbouncer_session.free(database)


def test_a_pooler_that_follows_statements(look: Look, recent_pgbouncer_prepared: PgBouncer, database: str) -> None:
    """Named statements survive where the pooler follows them, and that is said."""
    direct = recent_pgbouncer_prepared.upstream.url(database)
    url = recent_pgbouncer_prepared.url(database)
    report = look(url, DATABASE_POOLER="transaction", MIGRATION_DATABASE_URL=direct)
    assert not report.wrong, report.findings
    assert report.facts["endpoint"]["named_statements_survive"]
    recent_pgbouncer_prepared.free(database)


def test_a_migration_url_that_is_pooled_under_its_own_name(look: Look, database_url: str, pooled_url: str) -> None:
    """No name says that the second URL leads through a pooler; trying does."""
    report = look(database_url, MIGRATION_DATABASE_URL=pooled_url)
    assert "MIGRATION_DATABASE_URL=" in cause(report, "migration-url-pooled").fix


def test_a_migration_url_that_leads_nowhere(look: Look, postgres: Postgres, database: str) -> None:
    """Better now than at the next deployment."""
    broken = postgres.url(database, password="hunter22").replace("127.0.0.1", "localhost")
    report = look(postgres.url(database), MIGRATION_DATABASE_URL=broken)
    assert "password authentication failed" in cause(report, "migration-url-unreachable").what


def test_a_leaked_search_path(look: Look, postgres: Postgres, database: str) -> None:
    """Somebody's SET stayed on the pooler's only connection: whoever comes next works in another schema."""
    with pooler(postgres, default_pool_size=1) as bouncer:
        with psycopg.connect(bouncer.url(database), autocommit=True) as careless:
            careless.execute("CREATE SCHEMA tenant_7")
            careless.execute("SET search_path = tenant_7")
        report = look(
            bouncer.url(database), DATABASE_POOLER="transaction", MIGRATION_DATABASE_URL=postgres.url(database)
        )
    first = cause(report, "session-state-leaked")
    assert "search_path is 'tenant_7'" in first.what
    assert "SET LOCAL search_path" in first.fix


def test_options_that_the_pooler_refuses(look: Look, pooled_url: str) -> None:
    """The refusal is proof of a pooler; the line is shown without the options."""
    first = cause(look(f"{pooled_url}?options=-c%20search_path%3Dtenant_7"), "startup-refused")
    assert "unsupported startup parameter" in first.what
    assert "options" not in first.fix.partition("  and")[0]


def test_options_from_the_environment(look: Look, pooled_url: str) -> None:
    """PGOPTIONS steers libpq unseen: it is the cause, not the URL."""
    report = look(pooled_url, DATABASE_POOLER="transaction", PGOPTIONS="-c search_path=tenant_7")
    assert cause(report, "startup-refused").fix.startswith("unset PGOPTIONS")
    assert found(report, "environment-steers").level is Level.NOTE


@pytest.mark.slow  # it is given the time to come back
def test_a_pooler_whose_server_is_gone(look: Look, postgres: Postgres, database: str) -> None:
    """The pooler answers, the server behind it does not: what the pooler says of it is the cause."""
    bouncer = PgBouncer(postgres, client_login_timeout=1)
    config = bouncer.folder / "pgbouncer.ini"
    config.write_text(config.read_text().replace(f"port={postgres.port}", f"port={free_port()}"))
    try:
        bouncer.start()
        report = look(bouncer.url(database), DATABASE_POOLER="transaction")
        assert "server down" in cause(report, "database-waking").what
    finally:
        bouncer.stop()
        bouncer.remove()


def test_a_pooler_with_no_connection_to_give(look: Look, postgres: Postgres, database: str) -> None:
    """All server connections are held: the first query waits, and the wait is bounded."""
    with (
        pooler(postgres, default_pool_size=1, query_wait_timeout=2) as bouncer,
        psycopg.connect(bouncer.url(database)) as holder,
    ):
        holder.execute("SELECT 1")
        report = look(bouncer.url(database), DATABASE_POOLER="transaction")
    assert "query_wait_timeout" in cause(report, "too-many-connections").what
