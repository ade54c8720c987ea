"""The tasks application on a database of its own, migrated by its own migrations."""

import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from alembic import command
from alembic.config import Config
from app.auth import AuthSettings, Tokens
from app.main import create_app
from fastapi import FastAPI

from onetrip import AsyncDatabase, Settings
from tests.harness.pgbouncer import PgBouncer
from tests.harness.postgres import Postgres
from tests.harness.wait import until

BACKEND = Path(__file__).parents[2] / "examples" / "tasks" / "backend"
USERS = ("ada", "ben", "cleo")


def alembic_config(url: str, **given: Any) -> Config:
    """Return the example's own Alembic configuration, for one database."""
    settings = Settings(database_url=url, **({"tier": "test"} | given))
    return Config(str(BACKEND / "alembic.ini"), attributes={"settings": settings})


def add_users(postgres: Postgres, database: str, *users: str) -> None:
    """Put users where Better Auth would."""
    for user in users:
        postgres.execute(
            'INSERT INTO "user" (id, name, email, "emailVerified") VALUES (%s, %s, %s, true)',
            *(user, user.title(), f"{user}@example.com"),
            database=database,
        )


@dataclass(frozen=True)
class Api:
    """The running application and a client of it."""

    app: FastAPI
    db: AsyncDatabase
    http: httpx.AsyncClient

    @property
    def tokens(self) -> Tokens:
        """Return what checks tokens, and issues them in a demo."""
        tokens: Tokens = self.app.state.tokens
        return tokens

    async def call(self, user: str, method: str, path: str = "", *, owner: str | None = None, **more: Any) -> Any:
        """Send a request with ``user``'s token to the tasks of ``owner``, by default the same."""
        headers = {"Authorization": f"Bearer {self.tokens.issue(user)}"}
        return await self.http.request(method, f"/api/{owner or user}/tasks{path}", headers=headers, **more)


@asynccontextmanager
async def serving(url: str, auth: AuthSettings | None = None, **given: Any) -> AsyncIterator[Api]:
    """Run the application in this process, as its own lifespan does."""
    db = AsyncDatabase(settings=Settings(**({"database_url": url, "tier": "test"} | given)))
    app = create_app(db, auth or AuthSettings())
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://tasks") as http,
    ):
        yield Api(app, db, http)


@pytest.fixture(scope="session")
def migrated(postgres: Postgres) -> Iterator[str]:
    """Migrate one database, from which the tests' own are copied."""
    name = postgres.create_database()
    command.upgrade(alembic_config(postgres.url(name)), "head")
    add_users(postgres, name, *USERS)
    yield name
    postgres.drop_database(name)


@pytest.fixture
def tasks_database(postgres: Postgres, migrated: str) -> Iterator[str]:
    """Name a migrated database with three users; whoever is still connected when the test ends is a defect."""
    with postgres.lent_database(f"tasks_{secrets.token_hex(6)}", template=migrated) as name:
        yield name


@pytest.fixture
def tasks_url(postgres: Postgres, tasks_database: str) -> str:
    """Return the URL of the migrated database, as the role that owns the tables and is no superuser."""
    return postgres.url(tasks_database)


@pytest.fixture
def tasks_pooled_url(pgbouncer: PgBouncer, tasks_database: str) -> Iterator[str]:
    """Return the URL of the same database through PgBouncer in transaction mode."""
    yield pgbouncer.url(tasks_database)
    until(lambda: not pgbouncer.clients(tasks_database), message="clients were left on the pooler")
    pgbouncer.forget(tasks_database)


@pytest.fixture(params=["psycopg", "asyncpg"])
async def api(request: pytest.FixtureRequest, tasks_url: str) -> AsyncIterator[Api]:
    """Serve the application with each async driver."""
    async with serving(tasks_url, driver=request.param) as running:
        yield running
