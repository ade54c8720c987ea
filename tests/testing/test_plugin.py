"""The plugin in projects of users."""

import os
import subprocess
import sys
from importlib.util import find_spec

import pytest

from tests.harness.postgres import Postgres
from tests.local.project import initialised_project

from .conftest import INI, Project

MODELS = """
    from sqlmodel import Field, SQLModel
    from onetrip import AsyncDatabase

    class Thing(SQLModel, table=True):
        id: int | None = Field(default=None, primary_key=True)

    db = AsyncDatabase()
"""
CONFTEST = """
    import pytest
    from models import db as app_db
    pytest_plugins = ["onetrip.testing"]

    @pytest.fixture(scope="session")
    def onetrip_databases():
        return [app_db]
"""


def test_importing_the_plugin_costs_nothing() -> None:
    """No SQLAlchemy, no pydantic, no driver, before a fixture needs them."""
    dear = {"sqlalchemy", "sqlmodel", "pydantic", "psycopg", "asyncpg", "fastapi", "alembic"}
    program = f"import sys, onetrip.testing; print(*sorted({dear} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_a_run_that_uses_no_fixture_makes_no_connection(project: Project, server: Postgres) -> None:
    """A project of unit tests that carries the line pays neither for SQLAlchemy nor for a database."""
    project.write(
        conftest="pytest_plugins = ['onetrip.testing']",
        test_it="import sys\ndef test_it():\n    assert 'sqlalchemy' not in sys.modules",
    )
    offset = len(server.log_text())
    code, said = project.pytest()
    assert code == 0, said
    assert "app@" not in server.log_text()[offset:]


def test_a_test_that_asks_for_nothing_is_isolated_too(project: Project) -> None:
    """The application's objects, and what reads DATABASE_URL during a test, reach the kit's database alone."""
    project.write(
        models=MODELS,
        conftest=CONFTEST
        + """
    @pytest.fixture(scope="session")
    def seeded():
        import asyncio
        from models import Thing
        async def add():
            async with app_db.transaction() as session:
                session.add(Thing(id=100))
        asyncio.run(add())
    """,
        test_it="""
            import os
            from models import Thing, db
            from onetrip import Database
            from sqlalchemy import text
            from sqlmodel import select

            async def test_one():
                assert (await db.fetch_value(text("SELECT current_database()"))).startswith("onetrip_")
                await db.execute(text("INSERT INTO thing (id) VALUES (1)"))

            async def test_two():
                assert await db.fetch_all(select(Thing)) == []
                assert os.environ["APP_ENV"] == "test"
                with Database() as made_by_a_factory:
                    assert made_by_a_factory.fetch_all(select(Thing)) == []

            async def test_wide_fixtures_commit_in_the_kits_database(seeded):
                assert len(await db.fetch_all(select(Thing))) == 1
        """,
    )
    code, said = project.pytest()
    assert "3 passed" in said, said
    assert code == 0


@pytest.mark.parametrize(
    ("plugin", "driver"),
    [
        ("anyio", "asyncpg"),
        pytest.param("anyio", "psycopg", marks=pytest.mark.slow),
        pytest.param("asyncio", "psycopg", marks=pytest.mark.slow),
        pytest.param("asyncio", "asyncpg", marks=pytest.mark.slow),
    ],
)
def test_either_asynchronous_plugin(project: Project, plugin: str, driver: str) -> None:
    """Asynchronous tests and fixtures of pytest-asyncio in strict mode and of anyio share the transaction of a test."""
    mark = "pytest.mark.asyncio" if plugin == "asyncio" else "pytest.mark.anyio"
    fixture = "pytest_asyncio.fixture" if plugin == "asyncio" else "pytest.fixture"
    project.write(
        models=MODELS,
        conftest=CONFTEST + "    @pytest.fixture\n    def anyio_backend():\n        return 'asyncio'\n",
        test_it=f"""
            import pytest, pytest_asyncio
            from models import Thing, db
            from sqlmodel import select

            pytestmark = {mark}

            @{fixture}
            async def thing(async_db):
                async with async_db.transaction() as session:
                    session.add(Thing(id=1))
                    yield session

            @pytest.mark.parametrize("time", [1, 2])
            async def test_twice(thing, async_db, time):
                await thing.flush()
                assert len(await db.fetch_all(select(Thing))) == 1

            @pytest.mark.committed
            @pytest.mark.parametrize("time", [1, 2])
            async def test_committed(async_db, time):
                async with async_db.transaction() as session:
                    session.add(Thing(id=1))
                assert len(await db.fetch_all(select(Thing))) == 1
        """,
    )
    (project.folder / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")
    options = ["-o", "asyncio_mode=strict", "-o", "asyncio_default_fixture_loop_scope=function"]
    options = options if plugin == "asyncio" else ["-p", "no:asyncio"]
    code, said = project.pytest(*options, DATABASE_DRIVER=driver)
    assert "4 passed" in said, said
    assert code == 0


@pytest.mark.slow
@pytest.mark.skipif(find_spec("xdist") is None, reason="pytest-xdist is not installed")
def test_a_database_for_each_worker_of_xdist(project: Project) -> None:
    """Workers migrate once, have databases of their own, and leave nothing."""
    project.write(
        models=MODELS,
        conftest=CONFTEST
        + """
    @pytest.fixture(scope="session")
    def onetrip_schema():
        import pathlib
        from sqlmodel import SQLModel
        from onetrip import Database
        def make(url):
            with open("made", "a") as file:
                file.write("x")
            with Database(url) as db, db.engine.begin() as connection:
                SQLModel.metadata.create_all(connection)
        return make
    """,
        test_it="""
            import pathlib, pytest
            from sqlalchemy import text

            @pytest.mark.parametrize("number", range(6))
            def test_it(db, number, worker_id):
                name = db.fetch_value(text("SELECT current_database()"))
                pathlib.Path(f"used-{worker_id}-{name}").touch()
                db.execute(text("INSERT INTO thing (id) VALUES (1)"))
        """,
    )
    code, said = project.pytest("-n", "2")
    assert "6 passed" in said, said
    assert code == 0
    assert (project.folder / "made").read_text() == "x"
    used = [path.name.split("-")[1:] for path in project.folder.glob("used-*")]
    assert {worker for worker, _ in used} == {"gw0", "gw1"}
    assert len({database for _, database in used}) == 2


OUR_ENV = """
    from sqlmodel import SQLModel
    from onetrip import migrations
    migrations.run(SQLModel.metadata)
"""
ENV = """
    import os
    from alembic import context
    from sqlalchemy import create_engine, pool

    engine = create_engine({url}, poolclass=pool.NullPool)
    with engine.connect() as connection:
        context.configure(connection=connection)
        with context.begin_transaction():
            context.run_migrations()
"""
VERSION = """
    from alembic import op
    revision, down_revision = "1", None

    def upgrade():
        op.execute("CREATE TABLE migrated (id int)")
"""


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("os.environ['DATABASE_URL']", id="from the environment", marks=pytest.mark.slow),
        pytest.param(None, id="through onetrip.migrations", marks=pytest.mark.slow),
        pytest.param("context.config.get_main_option('sqlalchemy.url')", id="from alembic.ini"),
    ],
)
def test_alembic_makes_the_schema(project: Project, server: Postgres, url: str | None) -> None:
    """Where there is an alembic.ini, the template is migrated to head, and whatever alembic.ini names is left alone."""
    (project.folder / "migrations" / "versions").mkdir(parents=True)
    elsewhere = server.url().replace("postgresql", "postgresql+psycopg")
    (project.folder / "alembic.ini").write_text(
        f"[alembic]\nscript_location = migrations\nsqlalchemy.url = {elsewhere}\n"
    )
    if url and "environ" in url:
        url += ".replace('postgresql', 'postgresql+psycopg')"
    project.write(
        **{"migrations/env": ENV.format(url=url) if url else OUR_ENV, "migrations/versions/1": VERSION},
        conftest="pytest_plugins = ['onetrip.testing']",
        test_it="""
            from sqlalchemy import text
            def test_it(db):
                assert db.fetch_value(text("SELECT count(*) FROM migrated")) == 0
        """,
    )
    code, said = project.pytest()
    assert code == 0, said
    assert server.scalar("SELECT to_regclass('migrated')::text", database="app") is None


def test_without_a_schema_the_way_out_is_said(project: Project) -> None:
    """No alembic.ini and no model: the error names both, and the fixture to override."""
    project.write(conftest="pytest_plugins = ['onetrip.testing']", test_it="def test_it(db): ...")
    code, said = project.pytest()
    assert code == 1
    assert "onetrip_schema" in said
    assert "alembic.ini" in said


def test_a_failed_test_prints_no_password(project: Project, server: Postgres) -> None:
    """Pytest shows the arguments of a failed test; the URL among them is masked."""
    project.write(
        models=MODELS,
        conftest=CONFTEST,
        test_it="""
            def test_it(onetrip_url, db, async_db):
                assert onetrip_url.startswith("postgresql://app:")
                assert not "what was expected"
        """,
    )
    code, said = project.pytest("-l")
    assert code == 1
    assert "onetrip_url = " in said
    assert server.url().split(":")[2].split("@")[0] not in said


@pytest.mark.slow
def test_the_embedded_server_needs_no_consent() -> None:
    """With no DATABASE_URL at all, tests run, on a server that starts for them."""
    project = initialised_project("root" if os.geteuid() == 0 else "user")
    try:
        (project.folder / "conftest.py").write_text("import models\npytest_plugins = ['onetrip.testing']\n")
        (project.folder / "models.py").write_text(
            "from sqlmodel import Field, SQLModel\n"
            "class Thing(SQLModel, table=True):\n    id: int | None = Field(default=None, primary_key=True)\n"
        )
        (project.folder / "test_it.py").write_text(
            "from sqlalchemy import text\n"
            "def test_it(db):\n    assert db.fetch_value(text('SELECT current_database()')).startswith('onetrip_')\n"
        )
        (project.folder / "pytest.ini").write_text(INI)
        done = project.python("import pytest, sys; sys.exit(pytest.main(['-qs', '-p', 'no:cacheprovider']))")
        assert done.returncode == 0, done.stdout + done.stderr
        assert "no DATABASE_URL: started PostgreSQL" in done.stdout + done.stderr
    finally:
        project.clean()
