"""Fixtures on the configured database."""

from collections.abc import Iterator

import pytest
from app.db import engine
from app.initial import init_db
from app.main import app
from app.models import Item, User
from app.security import create_token
from fastapi.testclient import TestClient
from sqlmodel import Session, delete


@pytest.fixture(scope="session", autouse=True)
def db() -> Iterator[Session]:
    """Fill the database, and empty it when all tests have run."""
    with Session(engine) as session:
        init_db(session)
        session.commit()
        yield session
        session.exec(delete(Item))
        session.exec(delete(User))
        session.commit()


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    """Talk to the application."""
    with TestClient(app) as client:
        yield client


@pytest.fixture
def headers(db: Session) -> dict[str, str]:
    """Be the first user."""
    return {"Authorization": f"Bearer {create_token(init_db(db).id)}"}
