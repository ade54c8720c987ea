"""What the server itself says: limits, rights, clocks, leftovers."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from onetrip.doctor import Level
from tests.doctor.conftest import Look, cause, found
from tests.harness import binaries, process
from tests.harness.missing import missing
from tests.harness.postgres import Postgres
from tests.harness.wait import until

SECRET = "hunter-22-secret"


@contextmanager
def role(postgres: Postgres, database: str, attributes: str, prefix: str = "role") -> Iterator[str]:
    """Lend a role, and give its URL."""
    name = f"{prefix}_{database[-8:]}"
    postgres.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{SECRET}' {attributes}")
    try:
        yield postgres.url(database, user=name, password=SECRET)
    finally:
        postgres.execute(f"DROP OWNED BY {name}", database=database)
        postgres.execute(f"DROP ROLE {name}")


@contextmanager
def altered(postgres: Postgres, what: str, to: str, back: str) -> Iterator[None]:
    """Alter something of the cluster for a block."""
    postgres.execute(f"ALTER {what} {to}")
    try:
        yield
    finally:
        postgres.execute(f"ALTER {what} {back}")


def test_pool_times_workers_over_the_limit(look: Look, database_url: str) -> None:
    """The product is compared with what the server leaves, and the size that fits is the line to write."""
    report = look(database_url, workers=4, replicas=2, DATABASE_POOL_MAX="50")
    first = cause(report, "pool-over-limit")
    assert "= 400 connections, and the server has 97" in first.what
    assert first.fix == "DATABASE_POOL_MAX=12"


@pytest.mark.parametrize(
    ("name", "value"),
    [("WEB_CONCURRENCY", "8"), ("UVICORN_WORKERS", "8"), ("GUNICORN_CMD_ARGS", "--preload --workers=8")],
)
def test_workers_are_read_where_servers_read_them(look: Look, database_url: str, name: str, value: str) -> None:
    """Nobody has to say it twice."""
    report = look(database_url, **{name: value})
    assert f"8 workers ({name})" in cause(report, "pool-over-limit").what


def test_a_role_that_may_not_connect(look: Look, postgres: Postgres, database: str) -> None:
    """A connection limit of 0 lets nobody in."""
    with role(postgres, database, "CONNECTION LIMIT 0") as url:
        assert "CONNECTION LIMIT -1" in cause(look(url), "too-many-connections").fix


def test_a_role_whose_limit_is_reached(look: Look, postgres: Postgres, database: str) -> None:
    """The one place is taken."""
    with role(postgres, database, "CONNECTION LIMIT 1") as url, psycopg.connect(url):
        assert "for role" in cause(look(url), "too-many-connections").what


def test_a_role_limit_below_the_pool(look: Look, postgres: Postgres, database: str) -> None:
    """The smallest limit counts."""
    with role(postgres, database, "CONNECTION LIMIT 6") as url:
        first = cause(look(url, workers=2, DATABASE_POOL_MAX="5"), "pool-over-limit")
    assert "limit of the role 6" in first.what
    assert first.fix == "DATABASE_POOL_MAX=3"


def test_a_database_limit_below_the_pool(look: Look, postgres: Postgres, database: str) -> None:
    """A database may have a limit of its own."""
    with altered(postgres, f"DATABASE {database}", "CONNECTION LIMIT 7", "CONNECTION LIMIT -1"):
        assert "limit of the database 7" in cause(look(postgres.url(database)), "pool-over-limit").what


def test_bypassrls_makes_policies_void(look: Look, postgres: Postgres, database: str) -> None:
    """Policies are there, and the role passes by them."""
    postgres.execute("CREATE TABLE note (id int); ALTER TABLE note ENABLE ROW LEVEL SECURITY", database=database)
    with role(postgres, database, "BYPASSRLS") as url:
        postgres.execute(f"GRANT SELECT ON note TO role_{database[-8:]}", database=database)
        first = cause(look(url), "row-security-void")
    assert "has BYPASSRLS: note" in first.what
    assert "NOBYPASSRLS" in first.fix


def test_a_role_that_policies_bind_is_enough(look: Look, postgres: Postgres, database: str) -> None:
    """Where the login may become a role that is bound, it is a note: transactions may well run under it."""
    with role(postgres, database, "BYPASSRLS") as url, role(postgres, database, "", "bound"):
        login, bound = f"role_{database[-8:]}", f"bound_{database[-8:]}"
        for statement in (
            "CREATE TABLE note (id int)",
            "ALTER TABLE note ENABLE ROW LEVEL SECURITY",
            f"GRANT SELECT ON note TO {login}, {bound}",
            f"GRANT {bound} TO {login}",
        ):
            postgres.execute(statement, database=database)
        finding = found(look(url), "row-security-void")
    assert finding.level is Level.NOTE
    assert f"role='{bound}'" in finding.fix


def test_an_owner_is_not_bound_unless_forced(look: Look, database_url: str) -> None:
    """The usual trap: the application's role owns the tables."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE note (id int)")
        connection.execute("ALTER TABLE note ENABLE ROW LEVEL SECURITY")
        assert cause(look(database_url), "row-security-void").fix == "ALTER TABLE note FORCE ROW LEVEL SECURITY"
        connection.execute("ALTER TABLE note FORCE ROW LEVEL SECURITY")
        assert found(look(database_url), "row-security").level is Level.OK


def test_a_superuser_is_wrong_in_production_only(look: Look, postgres: Postgres) -> None:
    """In development it is a convenience, and a note."""
    assert "CREATE ROLE app" in cause(look(postgres.superuser_url), "superuser").fix
    assert found(look(postgres.superuser_url, APP_ENV="development"), "superuser").level is Level.NOTE


def test_clock_skew(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server runs two minutes ahead of this machine."""
    library = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
    if library is None:
        missing("libfaketime", "apt-get install libfaketime")
    server = Postgres(binaries.debian())
    variables = {"LD_PRELOAD": str(library), "FAKETIME": "+120s", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    try:
        with monkeypatch.context() as patch:
            for name, value in variables.items():
                patch.setitem(process.ENVIRONMENT, name, value)
            server.start()
        first = cause(look(server.url()), "clock-skew")
        assert "the server's clock is 120.0 s ahead of this machine's" in first.what
    finally:
        server.stop()
        server.remove()


def test_idle_in_transaction(look: Look, postgres: Postgres, database: str) -> None:
    """A transaction without a statement blocks somebody: its process is named."""
    url = postgres.url(database, application_name="careless")
    with psycopg.connect(url) as holder, psycopg.connect(url, autocommit=True) as waiter:
        waiter.execute("CREATE TABLE note (id int)")
        holder.execute("LOCK TABLE note")
        blocked = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = %s"
        waiter.pgconn.send_query(b"SELECT * FROM note")
        waiter.pgconn.flush()
        until(lambda: postgres.scalar(blocked, database) == 1)
        first = cause(look(url), "idle-in-transaction")
        assert f"process {holder.info.backend_pid} (careless)" in first.what
        assert f"pg_terminate_backend({holder.info.backend_pid})" in first.fix
        holder.rollback()
        until(lambda: not waiter.pgconn.is_busy() or waiter.pgconn.consume_input())
        while waiter.pgconn.get_result():
            pass


@pytest.mark.parametrize(
    ("what", "fix"),
    [("DATABASE {database}", "ALTER DATABASE {database} RESET"), ("ROLE app", "ALTER ROLE app RESET")],
)
def test_read_only_by_default(look: Look, postgres: Postgres, database: str, what: str, fix: str) -> None:
    """Where it was set is where it has to be taken back."""
    name = "default_transaction_read_only"
    with altered(postgres, what.format(database=database), f"SET {name} = on", f"RESET {name}"):
        first = cause(look(postgres.url(database)), "read-only-default")
    assert first.fix.startswith(fix.format(database=database))


def test_several_heads(look: Look, database_url: str) -> None:
    """Two branches were merged, each with a migration of its own."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY)")
        connection.execute("INSERT INTO alembic_version VALUES ('1a'), ('2b')")
    first = cause(look(database_url), "alembic-heads")
    assert "1a, 2b" in first.what
    assert "alembic merge heads" in first.fix


def test_a_hidden_version_table(look: Look, database_url: str) -> None:
    """The table is there, in a schema that search_path does not lead to."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA tenant; CREATE TABLE tenant.alembic_version (version_num varchar(32))")
    assert cause(look(database_url), "migrations-hidden").fix == "ALTER ROLE app SET search_path = tenant, public"


def test_a_replica(look: Look, postgres: Postgres) -> None:
    """A standby takes no writes: the URL has the wrong host."""
    server = Postgres(postgres.binaries, hot_standby="on")
    try:
        (server.data / "standby.signal").touch()
        server.start()
        assert "primary" in cause(look(server.url()), "replica").fix
    finally:
        server.stop()
        server.remove()


def test_what_a_role_may_not_see_is_said(look: Look, database_url: str) -> None:
    """An ordinary role does not see what others do: a note in the figures, no guess."""
    assert "the number only" in found(look(database_url), "load").what
