"""The cluster that other tests stand on does what its methods say."""

import psycopg

from tests.harness.postgres import Postgres


def test_each_test_has_a_database_of_its_own(postgres: Postgres, database_url: str) -> None:
    """The application's role owns the database and is no superuser."""
    with psycopg.connect(database_url) as connection:
        row = connection.execute("SELECT current_user, rolsuper FROM pg_roles WHERE rolname = current_user").fetchone()
        assert row == ("app", False)
        assert postgres.connection_count(connection.info.dbname) == 1
