"""The pooler that other tests stand on is a real one."""

import psycopg
import pytest

from tests.harness.pgbouncer import PgBouncer, recent
from tests.harness.postgres import Postgres


def test_transactions_share_server_connections(
    pgbouncer: PgBouncer, postgres: Postgres, database: str, pooled_url: str
) -> None:
    """Two clients in turn use one server connection."""
    with psycopg.connect(pooled_url) as one, psycopg.connect(pooled_url) as other:
        for client in (one, other):
            assert client.execute("SELECT current_database(), current_user").fetchone() == (database, "app")
            client.commit()
        assert postgres.connection_count(database) == 1
    modes = {pool["pool_mode"] for pool in pgbouncer.admin("SHOW POOLS") if pool["database"] == database}
    assert modes == {"transaction"}


def test_a_pooler_verifies_a_server_with_tls(postgres15_tls: Postgres) -> None:
    """The way of a provider: a pooler before a server that takes nothing but TLS."""
    pooler = PgBouncer(postgres15_tls)
    try:
        pooler.start()
        with psycopg.connect(pooler.url()) as connection:
            row = connection.execute("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").fetchone()
            assert row == (True,)
    finally:
        pooler.stop()
        pooler.remove()


@pytest.mark.parametrize("most", [0, 100])
def test_a_recent_pooler_follows_prepared_statements_when_told_to(postgres: Postgres, database: str, most: int) -> None:
    """A statement prepared on one server connection is there on the next one, unless the pooler does not look."""
    pooler = PgBouncer(postgres, program=recent(), max_prepared_statements=most)
    pooler.start()
    try:
        with psycopg.connect(pooler.url(database)) as one, psycopg.connect(pooler.url(database)) as other:
            one.pgconn.prepare(b"mine", b"SELECT 7")
            one.commit()
            other.execute("SELECT 1")  # takes the server connection, so that the first one gets another
            status = one.pgconn.exec_prepared(b"mine", []).status
    finally:
        pooler.stop()
        pooler.remove()
    assert status == (psycopg.pq.ExecStatus.TUPLES_OK if most else psycopg.pq.ExecStatus.FATAL_ERROR)


def test_a_killed_pooler_refuses_and_comes_back(postgres: Postgres, database: str) -> None:
    """After a kill the port refuses; after a start the same URL works."""
    pooler = PgBouncer(postgres, "session")
    try:
        pooler.start()
        pooler.kill()
        with pytest.raises(psycopg.OperationalError, match="refused"):
            psycopg.connect(pooler.url(database))
        pooler.start()
        psycopg.connect(pooler.url(database)).close()
    finally:
        pooler.stop()
        pooler.remove()
