"""A real application on a real database, in three modes, served by a real server where it matters."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import httpx
import psycopg
import pytest
from fastapi import FastAPI

from onetrip import AsyncDatabase, Database, Settings

TABLE = """
    CREATE TABLE item (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL,
                       CONSTRAINT item_name UNIQUE (name) DEFERRABLE INITIALLY DEFERRED)
"""
MODES = {"async-psycopg": (AsyncDatabase, "psycopg"), "async-asyncpg": (AsyncDatabase, "asyncpg"),
         "def-psycopg": (Database, "psycopg"), "def-psycopg2": (Database, "psycopg2")}  # fmt: skip


@pytest.fixture
def url(database_url: str) -> str:
    """Give the URL of a database with a table whose unique constraint is checked at COMMIT."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(TABLE)
    return database_url


@pytest.fixture(params=MODES)
def db(request: pytest.FixtureRequest, url: str) -> AsyncDatabase | Database:
    """Open a database for coroutine routes, or one for ``def`` routes."""
    kind, driver = MODES[request.param]
    return kind(settings=Settings(database_url=url, tier="test", driver=driver, pool_max=3))


@pytest.fixture(params=["psycopg", "asyncpg"])
def async_db(request: pytest.FixtureRequest, url: str) -> AsyncDatabase:
    """Open a database for coroutine routes, which alone can be cancelled: a thread always finishes."""
    return AsyncDatabase(settings=Settings(database_url=url, tier="test", driver=request.param, pool_max=3))


@pytest.fixture
def rows(url: str) -> Callable[[], list[str]]:
    """Read what is really stored, past the library."""

    def read() -> list[str]:
        with psycopg.connect(url, autocommit=True) as connection:
            return [name for (name,) in connection.execute("SELECT name FROM item ORDER BY id")]

    return read


@asynccontextmanager
async def client_of(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """Run the application's lifespan around a client that speaks to it."""
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport, base_url="http://t") as client:
        yield client
