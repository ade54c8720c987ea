"""The pooler that other tests stand on is a real one."""

import psycopg
import pytest

from tests.harness.pgbouncer import PgBouncer
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
