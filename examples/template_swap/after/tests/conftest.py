"""Fixtures on a database of the test kit's own, inside a transaction that every test rolls back."""

from collections.abc import Iterator

import pytest
from app.db import db as application_db
from app.initial import init_db
from app.main import app
from app.security import create_token
from fastapi.testclient import TestClient

from onetrip import Database

pytest_plugins = ["onetrip.testing"]


@pytest.fixture(scope="session")
def onetrip_databases() -> list[Database]:
    """Put the application's database on the test's."""
    return [application_db]


@pytest.fixture
def client() -> Iterator[TestClient]:
    """Talk to the application."""
    with TestClient(app) as client:
        yield client


@pytest.fixture
def headers(db: Database) -> dict[str, str]:
    """Be the first user."""
    with db.transaction() as session:
        return {"Authorization": f"Bearer {create_token(init_db(session).id)}"}
