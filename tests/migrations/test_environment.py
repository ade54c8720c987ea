"""Three lines of env.py: which database, over which way, with which limits and which last words."""

import logging
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from alembic import command
from alembic.util import CommandError
from sqlalchemy import text

from onetrip import Database, Settings
from tests.harness import binaries
from tests.harness.pgbouncer import PgBouncer
from tests.harness.postgres import PASSWORDS, SUPERUSER, Postgres
from tests.harness.wait import until

from .conftest import Project

NO_LIMIT = """
limit = op.get_bind().exec_driver_sql("SHOW statement_timeout").scalar()
assert limit == "0", limit
op.execute("CREATE TABLE made (id int)")
"""


def tables(postgres: Postgres, database: str) -> set[str]:
    """Return the tables that are there."""
    with postgres.connect(database) as server:
        return {name for (name,) in server.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")}


def test_three_lines_generate_migrate_and_check(
    project: Project, postgres: Postgres, database: str, database_url: str
) -> None:
    """Stock files and a URL in the environment: autogenerate's file runs as written, and then nothing is left to do."""
    command.revision(project.config(database_url), "first", autogenerate=True)
    done = project.alembic("upgrade", "head", DATABASE_URL=database_url)
    assert done.returncode == 0, done.stdout + done.stderr
    command.check(project.config(database_url))
    assert tables(postgres, database) == {"owner", "alembic_version"}
    assert "import sqlmodel.sql.sqltypes\n" in project.revision()
    assert "import tests.migrations.models\n" in project.revision()


def test_the_way_leads_past_the_pooler(
    project: Project,
    postgres: Postgres,
    database: str,
    database_url: str,
    pooled_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With a pooled DATABASE_URL and its direct twin, nothing of a migration goes through the pooler."""
    project.write_revision("""
        assert op.get_bind().exec_driver_sql("SHOW application_name").scalar() == "direct"
        op.execute("CREATE TABLE made (id int)")
    """)
    monkeypatch.setenv("DATABASE_URL", pooled_url)
    monkeypatch.setenv("DATABASE_POOLER", "transaction")
    monkeypatch.setenv("MIGRATION_DATABASE_URL", f"{database_url}?application_name=direct")
    command.upgrade(project.config(settings=Settings(tier="test")), "head")
    assert "made" in tables(postgres, database)


def test_a_pooler_whose_direct_twin_is_unknown_is_refused(
    project: Project, postgres: Postgres, database: str, pooled_url: str
) -> None:
    """Nothing is sent, and the variable to set is named."""
    project.write_revision("op.execute('CREATE TABLE made (id int)')")
    settings = Settings(database_url=pooled_url, pooler="transaction", tier="test")
    with pytest.raises(CommandError, match="set MIGRATION_DATABASE_URL to the same database without the pooler"):
        command.upgrade(project.config(settings=settings), "head")
    assert tables(postgres, database) == set()


def test_a_pooler_that_nobody_declared_gives_itself_away(
    project: Project, postgres: Postgres, database: str, pooled_url: str
) -> None:
    """A transaction pooler under a name that says nothing refuses the start-up time-out, before the first statement."""
    project.write_revision("op.execute('CREATE TABLE made (id int)')")
    with pytest.raises(CommandError, match="a pooler is in between: set MIGRATION_DATABASE_URL"):
        command.upgrade(project.config(pooled_url), "head")
    assert tables(postgres, database) == set()


@pytest.mark.parametrize("more", ["", "?options=-c%20statement_timeout%3D5000"])
def test_a_migration_has_all_the_time_it_needs(
    project: Project, postgres: Postgres, database: str, database_url: str, more: str
) -> None:
    """Neither the application's statement timeout, nor the URL's, nor the database's own holds for a migration."""
    postgres.execute(f"ALTER DATABASE {database} SET statement_timeout = '5s'")
    project.write_revision(NO_LIMIT)
    command.upgrade(project.config(database_url + more), "head")
    assert "made" in tables(postgres, database)


def test_an_index_is_built_without_a_transaction(
    project: Project, postgres: Postgres, database: str, database_url: str
) -> None:
    """``autocommit_block()`` works, for what PostgreSQL takes in no transaction."""
    project.write_revision("""
        op.execute("CREATE TABLE made (id int)")
        with op.get_context().autocommit_block():
            op.create_index("found", "made", ["id"], postgresql_concurrently=True)
    """)
    command.upgrade(project.config(database_url), "head")
    valid = "SELECT indisvalid FROM pg_index WHERE indexrelid = 'found'::regclass"
    assert postgres.scalar(valid, database=database) is True


def test_a_session_pooler_holds_a_migration_too(project: Project, postgres: Postgres, database: str) -> None:
    """A pooler in session mode, declared as one, is a way to migrate, without a limit of time there as well."""
    postgres.execute(f"ALTER DATABASE {database} SET statement_timeout = '5s'")
    project.write_revision(NO_LIMIT)
    pooler = PgBouncer(postgres, "session")
    try:
        pooler.start()
        settings = Settings(database_url=pooler.url(database), pooler="session", tier="test")
        command.upgrade(project.config(settings=settings), "head")
    finally:
        pooler.stop()
        pooler.remove()
    assert "made" in tables(postgres, database)


PASSWORD = "100%:p@ss/wörd#1"


def test_any_password_works_and_is_not_printed(
    project: Project, postgres: Postgres, database: str, failing_line: Callable[..., str]
) -> None:
    """A ``%`` is no interpolation, and a wrong password is one line without it."""
    quoted = PASSWORD.replace("'", "''")
    postgres.execute(f"CREATE ROLE percent LOGIN SUPERUSER PASSWORD '{quoted}'")
    try:
        command.upgrade(project.config(postgres.url(database, user="percent", password=PASSWORD)), "head")
        assert tables(postgres, database) == {"alembic_version"}
        url = postgres.url(database, user="percent", password=PASSWORD + "x")
        line = failing_line("upgrade", "head", DATABASE_URL=url)
        assert "authentication-failed" in line
        assert "wörd" not in line
    finally:
        postgres.execute("DROP OWNED BY percent", database=database)
        postgres.execute("DROP ROLE percent")


def test_a_password_from_an_event_loop(project: Project, postgres: Postgres, database: str) -> None:
    """An application on asyncpg with credentials that expire migrates with the same settings."""

    async def password() -> str:
        return PASSWORDS["app"]

    url = f"postgresql://app@127.0.0.1:{postgres.port}/{database}"
    settings = Settings(database_url=url, driver="asyncpg", password=password, tier="test")
    command.upgrade(project.config(settings=settings), "head")
    assert tables(postgres, database) == {"alembic_version"}


def test_a_password_from_a_file(project: Project, postgres: Postgres, database: str, tmp_path: Path) -> None:
    """The application's role reads its password where the application does; a role of its own has its own."""
    file = tmp_path / "password"
    file.write_text(PASSWORDS["app"])
    url = f"postgresql://app@127.0.0.1:{postgres.port}/{database}"
    owner = postgres.url(database, user=SUPERUSER)
    for migration_url in (None, owner):
        settings = Settings(
            database_url=url, migration_database_url=migration_url, password_file=file, tier="test", driver="asyncpg"
        )
        command.upgrade(project.config(settings=settings), "head")
    assert tables(postgres, database) == {"alembic_version"}


def test_what_the_server_says_is_one_line(project: Project, database_url: str) -> None:
    """The message and the hint of the server, without the page of SQL and without the rows in question."""
    project.write_revision("""
        op.execute("DO $$BEGIN RAISE EXCEPTION 'no such thing' USING HINT = 'make one', DETAIL = 'row 1'; END$$")
    """)
    with pytest.raises(CommandError) as refused:
        command.upgrade(project.config(database_url), "head")
    assert str(refused.value) == "no such thing → make one [database-error]"


def test_sql_is_written_without_a_server(project: Project) -> None:
    """``--sql`` connects to nothing."""
    project.write_revision("op.execute('CREATE TABLE made (id int)')")
    command.upgrade(project.config("postgresql://app@127.0.0.1:1/app"), "head", sql=True)
    assert "CREATE TABLE made" in project.printed.getvalue()


def test_a_server_that_is_not_up_yet_is_waited_for(project: Project, caplog: pytest.LogCaptureFixture) -> None:
    """At the start of a deployment the migration may be there before the database."""
    project.write_revision("op.execute('CREATE TABLE made (id int)')")
    server = Postgres(binaries.embedded())
    runner = threading.Thread(target=command.upgrade, args=(project.config(server.url()), "head"))
    try:
        runner.start()
        until(lambda: "waiting for the database" in caplog.text, message=lambda: caplog.text)
        server.start()
        runner.join(20)
        assert "made" in tables(server, "app")
    finally:
        runner.join(20)
        server.stop()
        server.remove()


def test_a_connection_of_the_programs_own_is_used(
    project: Project, postgres: Postgres, database: str, database_url: str
) -> None:
    """Inside a transaction of its own, it decides: what it rolls back has not been migrated."""
    project.write_revision("op.execute('CREATE TABLE made (id int)')")
    with Database(database_url) as db, db.engine.connect() as connection, connection.begin() as whole:
        command.upgrade(project.config(connection=connection), "head")
        assert connection.scalar(text("SELECT to_regclass('made')")) is not None
        whole.rollback()
    assert tables(postgres, database) == set()


def test_another_url_in_the_ini_is_refused(
    project: Project, postgres: Postgres, database: str, database_url: str
) -> None:
    """It would seem to say what is migrated, and does not; its password is not printed, for all the ``%`` in it."""
    ini = project.ini.read_text()
    project.ini.write_text(
        ini.replace("driver://user:pass@localhost/dbname", "postgresql://app:hunter%2@elsewhere/app")
    )
    with pytest.raises(CommandError, match=r"^sqlalchemy\.url names another") as refused:
        command.upgrade(project.config(database_url), "head")
    assert "hunter" not in str(refused.value)
    assert tables(postgres, database) == set()


def test_the_same_url_in_the_ini_is_harmless(project: Project, database_url: str) -> None:
    """A test suite that sets it for whatever env.py there is gets its way where both say the same."""
    config = project.config(database_url)
    config.set_main_option("sqlalchemy.url", database_url.replace("postgresql:", "postgresql+psycopg2:"))
    command.upgrade(config, "head")


def test_a_program_keeps_its_own_logging(project: Project, database_url: str) -> None:
    """The .ini file's logging is for the command line: no handler, level or logger of a program is touched."""
    root, mine = logging.getLogger(), logging.getLogger("tests.mine")
    before = (list(root.handlers), root.level)
    command.upgrade(project.config(database_url), "head")
    assert (root.handlers, root.level, mine.disabled) == (*before, False)
