"""Nothing is acknowledged that is not committed."""

from collections.abc import AsyncIterator, Callable

import httpx
import pytest
from fastapi import FastAPI

from onetrip import AsyncDatabase, Database, errors
from tests.fastapi.apps import app_for
from tests.fastapi.conftest import client_of

Rows = Callable[[], list[str]]


@pytest.fixture(params=["WriteSession", "write_session", "literal"])
def app(request: pytest.FixtureRequest, db: AsyncDatabase | Database) -> FastAPI:
    """Build an application that asks for its session in one of the three ways."""
    return app_for(db, request.param)


@pytest.fixture
async def client(app: FastAPI, db: AsyncDatabase | Database) -> AsyncIterator[httpx.AsyncClient]:
    """Speak to it."""
    async with client_of(app) as client:
        yield client
        assert db.stats().in_use == 0, "every connection is back"


async def test_a_returned_response_is_committed(client: httpx.AsyncClient, rows: Rows) -> None:
    """A 201 means that the row is there."""
    assert (await client.post("/items/ann")).status_code == 201
    assert rows() == ["ann"]


async def test_a_failed_commit_is_an_error_response(
    client: httpx.AsyncClient, rows: Rows, db: AsyncDatabase | Database
) -> None:
    """A deferred constraint that fails at COMMIT is a 409, never a 2xx, and says nothing of the schema."""
    await client.post("/items/ann")
    answer = await client.post("/items/ann")
    assert (answer.status_code, answer.json()["code"]) == (409, "unique-violation")
    assert "item_name" not in answer.text
    assert rows() == ["ann"]
    assert (await client.post("/items/bob")).status_code == 201
    assert db.stats().in_use == 0


async def test_an_http_exception_rolls_back(client: httpx.AsyncClient, rows: Rows) -> None:
    """``raise HTTPException`` is an exception."""
    assert (await client.post("/items/ann?also_fail=http")).status_code == 418
    assert rows() == []


async def test_a_crash_rolls_back(client: httpx.AsyncClient, rows: Rows) -> None:
    """So is any other."""
    assert (await client.post("/items/ann?also_fail=crash")).status_code == 500
    assert rows() == []


@pytest.mark.parametrize("status", [200, 404, 500])
async def test_a_returned_response_commits_whatever_its_status(
    client: httpx.AsyncClient, rows: Rows, status: int
) -> None:
    """Who returns a response means it; who wants to undo raises."""
    assert (await client.post(f"/returned/ann/{status}")).status_code == status
    assert rows() == ["ann"]


async def test_a_streaming_response_holds_no_connection(client: httpx.AsyncClient, rows: Rows) -> None:
    """The transaction is over before the first chunk."""
    assert (await client.post("/stream/ann")).text == "0\n0\n0\n"
    assert rows() == ["ann"]


async def test_a_background_task_has_a_session_of_its_own(client: httpx.AsyncClient, rows: Rows) -> None:
    """``db.background`` opens one; it commits."""
    assert (await client.post("/late/ann?own=true")).status_code == 200
    assert rows() == ["ann"]


async def test_a_background_task_cannot_use_the_requests_session(
    app: FastAPI, client: httpx.AsyncClient, rows: Rows
) -> None:
    """The request's session has ended with the response: the write fails loudly instead of leaking a transaction."""
    await client.post("/late/ann")
    assert isinstance(app.state.late, errors.SessionClosed)
    assert "db.background" in str(app.state.late)
    assert rows() == []


async def test_a_reader_joins_a_writer(client: httpx.AsyncClient, rows: Rows) -> None:
    """One request, one session, one connection, also where the reader came first."""
    assert (await client.get("/both")).json() == {"same": True, "count": 1, "in_use": 1}
    assert rows() == ["both"]


async def test_a_reader_cannot_write(client: httpx.AsyncClient, rows: Rows) -> None:
    """``ReadSession`` alone is READ ONLY on the server."""
    assert (await client.get("/reading")).json() == 0
    answer = await client.get("/reading?name=ann")
    assert (answer.status_code, answer.json()["code"]) == (500, "read-only")
    assert rows() == []
