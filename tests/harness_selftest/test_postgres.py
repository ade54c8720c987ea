"""The cluster that other tests stand on does what its methods say."""

from pathlib import Path

import psycopg
import pytest

from tests.harness import binaries
from tests.harness.certificates import Authority
from tests.harness.postgres import Postgres


def test_each_test_has_a_database_of_its_own(postgres: Postgres, database_url: str) -> None:
    """The application's role owns the database and is no superuser."""
    with psycopg.connect(database_url) as connection:
        row = connection.execute("SELECT current_user, rolsuper FROM pg_roles WHERE rolname = current_user").fetchone()
        assert row == ("app", False)
        assert postgres.connection_count(connection.info.dbname) == 1


def test_a_wrong_password_is_refused(postgres: Postgres) -> None:
    """Nobody is trusted, not even on loopback."""
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(postgres.url(password="wrong"))


def test_terminated_backends_are_gone(postgres: Postgres, database: str, database_url: str) -> None:
    """The client meets the administrator's 57P01 at its next statement, and the log says so."""
    with psycopg.connect(database_url) as connection:
        assert postgres.terminate_backends(database) == 1
        with pytest.raises(psycopg.errors.AdminShutdown):
            connection.execute("SELECT 1")
    assert postgres.log_contains("terminating connection due to administrator command")


def test_settings_change_for_a_block(postgres: Postgres) -> None:
    """A changed setting is read at once and is gone afterwards."""
    with postgres.changed(statement_timeout="1234ms"):
        assert postgres.scalar("SHOW statement_timeout") == "1234ms"
    assert postgres.scalar("SHOW statement_timeout") == "0"


def test_a_killed_server_comes_back_on_its_port() -> None:
    """Kill, stop and restart keep the address and what was committed."""
    server = Postgres(binaries.embedded(), max_connections=10)
    try:
        server.start()
        server.execute("CREATE TABLE kept ()")
        server.kill()
        assert not server.accepts()
        server.start()
        server.restart("immediate")
        assert server.scalar("SELECT to_regclass('kept')::text") == "kept"
        assert server.scalar("SHOW max_connections") == "10"
    finally:
        server.stop()
        server.remove()
    assert not server.folder.exists()


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_tls_holds_with_the_authority(postgres15_tls: Postgres, host: str) -> None:
    """A client that knows the authority is let in, and the session is encrypted."""
    url = postgres15_tls.url(host=host, sslmode="verify-full", sslrootcert=postgres15_tls.ca_file)
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").fetchone()
        assert row == (True,)
        assert connection.info.server_version // 10_000 == 15


def test_tls_fails_with_another_authority(postgres15_tls: Postgres, tmp_path: Path) -> None:
    """A certificate that a stranger signed is refused."""
    stranger = tmp_path / "ca.crt"
    stranger.write_bytes(Authority("stranger").certificate)
    with pytest.raises(psycopg.OperationalError, match="certificate verify failed"):
        psycopg.connect(postgres15_tls.url(sslmode="verify-full", sslrootcert=stranger))


def test_plaintext_is_refused_where_tls_is_served(postgres15_tls: Postgres) -> None:
    """The TLS cluster takes nothing else."""
    with pytest.raises(psycopg.OperationalError, match="no encryption"):
        psycopg.connect(postgres15_tls.url(sslmode="disable"))
