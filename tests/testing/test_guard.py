"""Nothing is destroyed, and no server is touched, without proof."""

import secrets
from collections.abc import Iterator

import pytest
from sqlalchemy import text

from onetrip import Database, Settings
from onetrip.errors import ConfigurationError, UnsafeUse
from onetrip.testing import require_disposable
from onetrip.testing._databases import Databases
from onetrip.testing._server import require_consent
from onetrip.testing._worker import Worker
from tests.harness.pgbouncer import PgBouncer
from tests.harness.postgres import Postgres

from .conftest import Project
from .models import make_schema

DESTRUCTIVE = """
    import os
    import pytest
    from sqlmodel import SQLModel, Field
    from onetrip import Database
    from onetrip.testing import require_disposable

    pytest_plugins = ["onetrip.testing"]
    app_db = Database()

    class User(SQLModel, table=True):
        id: int | None = Field(default=None, primary_key=True)
        name: str

    @pytest.fixture(scope="session")
    def onetrip_databases():
        return [app_db]

    @pytest.fixture(autouse=True)
    def clean(db):
        with db.transaction() as session:
            SQLModel.metadata.drop_all(session.connection())
            SQLModel.metadata.create_all(session.connection())
"""
TEST = """
    def test_users(db): ...
    def test_without_fixtures(): ...
"""


@pytest.fixture
def production(postgres: Postgres) -> Iterator[str]:
    """Name a database with the rows that somebody lives from."""
    with postgres.lent_database("shop_production") as name:
        with Database(postgres.url(name)) as db, db.engine.begin() as connection:
            connection.execute(
                text('CREATE TABLE "user" AS SELECT g AS id, g::text AS name FROM generate_series(1, 100) g')
            )
        yield name


@pytest.mark.parametrize(
    "consent", [pytest.param("", id="unsaid"), pytest.param("yes", id="a yes", marks=pytest.mark.slow)]
)
def test_a_run_pointed_at_a_database_with_data_refuses_before_touching_it(
    project: Project, production: str, postgres: Postgres, consent: str
) -> None:
    """With APP_ENV=test and fixtures that drop everything: no connection is made, no test runs, every row is there."""
    project.write(conftest=DESTRUCTIVE, test_users=TEST)
    url = postgres.url(production)
    before, offset = databases(postgres), len(postgres.log_text())
    code, said = project.pytest(APP_ENV="test", DATABASE_URL=url, ONETRIP_TEST_SERVER=consent)
    logged = postgres.log_text()[offset:]
    assert code == pytest.ExitCode.USAGE_ERROR, said
    assert f"ONETRIP_TEST_SERVER=127.0.0.1:{postgres.port}" in said  # the line to change
    assert "environment DATABASE_URL" in said
    assert "passed" not in said
    assert Settings(database_url=url).url.password not in said
    assert [line for line in logged.splitlines() if "app@" in line] == []  # not even a connection
    assert databases(postgres) == before
    assert postgres.scalar('SELECT count(*) FROM "user"', database=production) == 100


def test_even_on_a_server_for_tests_the_named_database_is_left_alone(
    project: Project, production: str, postgres: Postgres
) -> None:
    """Consent is for databases of our own: the one in the URL keeps its rows, and its log shows no statement on it."""
    project.write(conftest=DESTRUCTIVE, test_users=TEST)
    with postgres.changed(log_statement="all"):
        offset = len(postgres.log_text())
        code, said = project.pytest(APP_ENV="test", DATABASE_URL=postgres.url(production))
        logged = postgres.log_text()[offset:]
    assert code == 0, said
    assert postgres.scalar('SELECT count(*) FROM "user"', database=production) == 100
    there = [line for line in logged.splitlines() if f"app@{production}" in line]
    assert there  # where databases are made from
    changing = ("DROP TABLE", "CREATE TABLE", "TRUNCATE", "DELETE", "INSERT", "UPDATE", "ALTER")
    assert [line for line in there if any(word in line.upper() for word in changing)] == []


def test_consent_names_every_host_that_the_url_may_reach() -> None:
    """A second host, a port or an address given aside is not covered by the name of the first."""
    for url in ("postgresql://u@a.example,b.example/x", "postgresql://u@a.example:6000/x"):
        with pytest.raises(UnsafeUse):
            require_consent(Settings(database_url=url, tier="test"), "a.example:5432")
    require_consent(Settings(database_url="postgresql://u@A.example/x", tier="test"), "b.example:1 a.example:5432")


def test_consent_covers_the_server_behind_the_pooler_too() -> None:
    """The databases are made at MIGRATION_DATABASE_URL: a consent that names the other server alone is not enough."""
    settings = Settings(
        database_url="postgresql://u@localhost/x", migration_database_url="postgresql://u@prod.example/x", tier="test"
    )
    with pytest.raises(UnsafeUse, match=r"prod\.example:5432 \(from argument\)"):
        require_consent(settings, "localhost:5432")
    require_consent(settings, "localhost:5432 prod.example:5432")


def test_the_marker_is_what_permits(worker: Worker, database_url: str) -> None:
    """A database of the kit may be destroyed, any other not, whatever APP_ENV says and however it is called."""
    with worker.test((), committed=False) as stage, stage.database() as db, db.transaction() as session:
        require_disposable(session)
    with Database(database_url) as db, db.transaction() as session, pytest.raises(UnsafeUse, match="marker"):
        require_disposable(session)


def test_the_marker_does_not_travel(worker: Worker, server: Postgres) -> None:
    """A clone, a renamed database, and one that was given another's comment are not disposable."""
    with worker.test((), committed=True) as stage:
        name = str(Settings(database_url=stage.url).url.database)
        comment = server.scalar(
            "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s", name
        )
        assert comment
        with server.lent_database(template=name) as clone:
            assert refused(server, clone)
            server.execute(f"COMMENT ON DATABASE {clone} IS '{comment}'")
            assert refused(server, clone)
        with server.lent_database() as other:
            server.execute(f"ALTER DATABASE {name} RENAME TO was_for_tests")
            assert refused(server, "was_for_tests")
            assert refused(server, other)
            server.execute(f"ALTER DATABASE was_for_tests RENAME TO {name}")
            assert not refused(server, name)


def refused(server: Postgres, name: str) -> bool:
    """Say whether a database may not be destroyed."""
    with Database(server.url(name)) as db, db.transaction() as session:
        try:
            require_disposable(session)
        except UnsafeUse:
            return True
    return False


def test_drop_asks_the_marker_not_the_name(server: Postgres, consent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that is called like one of ours is not dropped."""
    monkeypatch.setenv("DATABASE_URL", server.url())
    ours = Databases(consent)
    name = f"onetrip_{secrets.token_hex(6)}_main_1"
    try:
        with server.lent_database(name):
            with pytest.raises(UnsafeUse, match="marker"):
                ours.drop(name)
            assert name in databases(server)
    finally:
        ours.close()


def test_a_role_without_createdb_is_told_so(server: Postgres, consent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the role and the statement that helps."""
    server.execute("CREATE ROLE kit_modest LOGIN PASSWORD 'modest'")
    monkeypatch.setenv("DATABASE_URL", server.url(user="kit_modest", password="modest"))
    try:
        with pytest.raises(UnsafeUse, match='ALTER ROLE "kit_modest" CREATEDB'):
            Databases(consent)
    finally:
        server.execute("DROP ROLE kit_modest")


def test_through_a_pooler_the_direct_address_is_asked_for_and_used(
    pgbouncer: PgBouncer, server: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CREATE DATABASE does not go through a transaction pooler; the error says what to set, and then it works."""
    monkeypatch.setenv("DATABASE_URL", pgbouncer.url("app"))
    monkeypatch.setenv("DATABASE_POOLER", "transaction")
    consent = f"127.0.0.1:{pgbouncer.port} 127.0.0.1:{server.port}"
    with pytest.raises(ConfigurationError, match="MIGRATION_DATABASE_URL"):
        Databases(consent)
    monkeypatch.setenv("MIGRATION_DATABASE_URL", server.url())
    with Worker(consent, make_schema) as worker, worker.test((), committed=False) as stage:
        assert f":{server.port}/" in stage.url


def databases(server: Postgres) -> list[str]:
    """Name every database."""
    return server.scalar("SELECT array_agg(datname::text ORDER BY datname) FROM pg_database")
