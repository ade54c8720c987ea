"""Servers and rules that every test shares."""

import gc
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from typing import TypeVar

import pytest

from tests.harness import binaries
from tests.harness.budgets import Ledger
from tests.harness.missing import absent
from tests.harness.neon import NeonProxy, resolve_names
from tests.harness.pgbouncer import PgBouncer, distribution, recent
from tests.harness.pgbouncer import version as pgbouncer_version
from tests.harness.postgres import Postgres

Server = TypeVar("Server", Postgres, PgBouncer)

# Tests state their own environment: nothing of the user's may reach a driver or our settings.
URLS = {"DIRECT_URL", "DIRECT_DATABASE_URL", "MIGRATION_DATABASE_URL", "POSTGRES_URL_NON_POOLING"}
PLATFORMS = {"KUBERNETES_SERVICE_HOST", "AWS_LAMBDA_FUNCTION_NAME", "VERCEL", "FLY_APP_NAME", "RENDER", "DYNO"}
for name in list(os.environ):
    if name.startswith(("PG", "DATABASE_", "RAILWAY_")) or name in {"APP_ENV", *URLS, *PLATFORMS}:
        del os.environ[name]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add our two options."""
    parser.addoption("--all", action="store_true", help="also run tests marked slow")
    parser.addoption("--pictures", metavar="FOLDER", help="keep screenshots of the pages under test")
    parser.addoption("--enforce-budgets", action="store_true", help="fail when a folder of tests is over its budget")


def pytest_configure(config: pytest.Config) -> None:
    """Keep account of time."""
    config.pluginmanager.register(Ledger(enforce=config.getoption("--enforce-budgets")))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave slow tests out unless they are asked for, by --all, by -m, or by name."""
    if config.option.all or config.option.markexpr or any("::" in argument for argument in config.args):
        return
    slow = [item for item in items if item.get_closest_marker("slow")]
    items[:] = [item for item in items if item not in slow]
    config.hook.pytest_deselected(items=slow)


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
    """Have what a file of tests leaves open found, and warned of, at that file's end, not at some later test's."""
    yield
    if nextitem is None or nextitem.path != item.path:
        gc.collect()


def pytest_report_header() -> list[str]:
    """Say what is under test."""
    libraries = ("sqlalchemy", "sqlmodel", "psycopg", "psycopg2-binary", "asyncpg", "fastapi")
    servers: dict[str, Callable[[], object]] = {
        "embedded": binaries.embedded,
        "distribution": binaries.debian,
        "PgBouncer": lambda: pgbouncer_version(distribution()),
        "recent PgBouncer": lambda: pgbouncer_version(recent()),
    }
    return [
        "libraries: " + ", ".join(f"{name} {version(name)}" for name in libraries),
        "servers: " + ", ".join(f"{name} {absent(find) or 'missing'}" for name, find in servers.items()),
    ]


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """Serve embedded PostgreSQL 18 for the whole run; a test that breaks the server starts one of its own."""
    yield from _served(Postgres(binaries.embedded()))


@pytest.fixture(scope="session")
def postgres15_tls() -> Iterator[Postgres]:
    """Serve the distribution's PostgreSQL 15 over TLS and nothing else; its authority's certificate is ``ca_file``."""
    yield from _served(Postgres(binaries.debian(), tls=True))


@pytest.fixture(scope="session")
def pgbouncer(postgres: Postgres) -> Iterator[PgBouncer]:
    """Pool transactions before ``postgres``: any of its databases through ``pgbouncer.url(name)``."""
    yield from _served(PgBouncer(postgres))


@pytest.fixture(scope="session")
def pgbouncer_session(postgres: Postgres) -> Iterator[PgBouncer]:
    """Pool sessions before ``postgres``."""
    yield from _served(PgBouncer(postgres, "session"))


@pytest.fixture(scope="session")
def recent_pgbouncer(postgres: Postgres) -> Iterator[PgBouncer]:
    """Pool transactions with a recent PgBouncer that does not follow prepared statements."""
    yield from _served(PgBouncer(postgres, program=recent()))


@pytest.fixture(scope="session")
def recent_pgbouncer_prepared(postgres: Postgres) -> Iterator[PgBouncer]:
    """Pool transactions with a recent PgBouncer that follows prepared statements, as Neon's does."""
    yield from _served(PgBouncer(postgres, program=recent(), max_prepared_statements=1000))


def _served(server: Server) -> Iterator[Server]:
    try:
        server.start()
        yield server
    finally:
        server.stop()
        server.remove()


@pytest.fixture
def database(postgres: Postgres) -> Iterator[str]:
    """Name a database of the test's own; whoever is still connected when the test ends is a defect."""
    with postgres.lent_database() as name:
        yield name


@pytest.fixture
def database_url(postgres: Postgres, database: str) -> str:
    """Return the direct URL of the test's own database, as the application's role."""
    return postgres.url(database)


@pytest.fixture
def pooled_url(pgbouncer: PgBouncer, database: str) -> Iterator[str]:
    """Return the URL of the same database through PgBouncer in transaction mode."""
    yield pgbouncer.url(database)
    pgbouncer.free(database)


@pytest.fixture(scope="session")
def neon(postgres: Postgres, pgbouncer: PgBouncer) -> Iterator[NeonProxy]:
    """Play Neon before ``postgres`` and ``pgbouncer``; a test that suspends it starts all three of its own."""
    with NeonProxy(postgres, pgbouncer) as proxy:
        yield proxy


@pytest.fixture(scope="session")
def sleepy_neon() -> Iterator[NeonProxy]:
    """Play Neon before servers of its own, for tests that suspend it; they may find it asleep."""
    server = Postgres(binaries.embedded())
    pooler = PgBouncer(server)
    with ExitStack() as stack:
        stack.enter_context(contextmanager(_served)(server))
        stack.enter_context(contextmanager(_served)(pooler))
        yield stack.enter_context(NeonProxy(server, pooler))


@pytest.fixture
def neon_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Neon's host names lead here, and its authority be one that this machine knows."""
    resolve_names(monkeypatch)


@pytest.fixture
def neon_url(neon: NeonProxy, neon_names: None, database: str) -> str:
    """Return the direct URL of the test's own database as Neon's console shows it."""
    return neon.url(database)


@pytest.fixture
def neon_pooled_url(neon: NeonProxy, neon_names: None, database: str, pooled_url: str) -> str:
    """Return the ``-pooler`` URL of the same database; ``pooled_url`` clears the pooler up."""
    return neon.url(database, pooled=True)
