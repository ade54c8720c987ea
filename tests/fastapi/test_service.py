"""What the application answers when the database is busy, slow, away, or was never connected."""

import logging
from typing import Annotated, Any

import httpx
import psycopg
import pytest
from fastapi import Depends, FastAPI
from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from onetrip import AsyncDatabase, Database, Settings, errors
from onetrip.fastapi import ReadSession, lifespan
from tests.fastapi.apps import app_for
from tests.fastapi.conftest import client_of
from tests.harness.process import free_port


def other(url: str, **settings: Any) -> AsyncDatabase:
    """Open a database with settings of the test's own."""
    return AsyncDatabase(settings=Settings(**{"database_url": url, "tier": "test"} | settings))


async def test_livez_never_touches_the_database(db: AsyncDatabase | Database) -> None:
    """The process is alive whatever the database does; nothing is connected."""
    async with client_of(app_for(db, "WriteSession")) as client:
        assert (await client.get("/livez")).json() == {"status": "alive"}
        assert (await client.get("/readyz")).json() == {"status": "ready"}
    assert db.stats().opened == 0


async def test_readyz_says_what_real_traffic_met(url: str) -> None:
    """After a failed connection it is 503 for a moment, without a connection of its own."""
    port = url.rpartition(":")[2].partition("/")[0]
    db = other(url.replace(f":{port}/", f":{free_port()}/"))
    async with client_of(app_for(db, "WriteSession")) as client:
        assert (await client.get("/readyz")).status_code == 200
        answer = await client.get("/reading")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert answer.json() == {"detail": "the database is not available right now", "code": "database-unreachable"}
        answer = await client.get("/readyz")
        assert (answer.status_code, answer.json()["code"]) == (503, "database-unreachable")


async def test_a_full_pool_is_503_with_retry_after(url: str) -> None:
    """Who cannot be served in time is told when to come back; the figures stay in the log."""
    db = other(url, pool_max=1, pool_timeout=0.05)
    async with client_of(app_for(db, "WriteSession")) as client, db.transaction() as session:
        await session.exec(text("SELECT 1"))
        answer = await client.get("/reading")
    assert (answer.status_code, answer.headers["retry-after"], answer.json()["code"]) == (503, "1", "database-busy")
    assert "size" not in answer.text


async def test_the_default_deadline_ends_a_slow_statement(url: str) -> None:
    """A request that nobody waits for any more does not keep the server busy."""
    db = other(url, request_deadline=0.2)
    async with client_of(app_for(db, "WriteSession")) as client:
        answer = await client.get("/sleep/10")
    assert (answer.status_code, answer.json()["code"]) == (503, "statement-timeout")


async def test_an_error_is_logged_and_not_shown(db: AsyncDatabase | Database, caplog: pytest.LogCaptureFixture) -> None:
    """The client learns a code; whoever operates it finds the whole error in the log."""
    app = app_for(db, "WriteSession")
    async with client_of(app) as client:
        with caplog.at_level(logging.WARNING, "onetrip"):
            answer = await client.get("/reading?name=ann")
    assert (answer.status_code, answer.json()) == (
        500,
        {"detail": "the database could not do this", "code": "read-only"},
    )
    (record,) = [record for record in caplog.records if record.name == "onetrip"]
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], errors.ReadOnlyViolation)


async def test_a_path_writes_no_record_of_its_own(url: str, caplog: pytest.LogCaptureFixture) -> None:
    """Line breaks and terminal codes in a request's path stay escaped in the log."""
    app = FastAPI(lifespan=lifespan(other(url)))

    @app.get("/fail/{name:path}")
    async def fail(name: str, session: ReadSession) -> None:
        await session.exec(text("SELECT 1/0 FROM nowhere"))

    async with client_of(app) as client:
        assert (await client.get("/fail/a%0dERROR %1b[31mforged")).status_code == 500
    (said,) = [record.getMessage() for record in caplog.records if record.name == "onetrip"]
    assert said == "GET /fail/a%0DERROR%20%1B%5B31mforged"


async def test_every_error_has_an_answer(url: str) -> None:
    """Whatever the class, the client gets its status, its code and one sentence."""
    app = FastAPI(lifespan=lifespan(other(url)))
    classes = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    kinds = {kind.code: kind for kind in classes if issubclass(kind, errors.DatabaseError)}

    @app.get("/{code}")
    async def fail(code: str) -> None:
        raise kinds[code]("no more")

    async with client_of(app) as client:
        for code, kind in kinds.items():
            answer = await client.get(f"/{code}")
            assert (answer.status_code, answer.json()["code"]) == (kind.http_status, code)


async def test_an_applications_own_handler_wins(url: str) -> None:
    """Ours are defaults."""
    db = other(url)
    app = app_for(db, "WriteSession")

    @app.exception_handler(errors.ReadOnlyViolation)
    async def handler(_request: object, _error: Exception) -> Any:
        from fastapi.responses import PlainTextResponse

        return PlainTextResponse("mine", 499)

    async with client_of(app) as client:
        assert (await client.get("/reading?name=ann")).status_code == 499


async def test_without_the_lifespan_a_session_is_refused(url: str) -> None:
    """``WriteSession`` without ``lifespan(db)`` says which line is missing."""
    app = app_for(other(url), "WriteSession")
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://t") as client:
        with pytest.raises(errors.UnsafeUse, match=r"FastAPI\(lifespan=lifespan\(db\)\)"):
            await client.get("/reading")


async def test_the_literal_dependency_is_safe_without_the_lifespan(url: str) -> None:
    """``Depends(db.get_session)`` commits before the response even where nothing else of ours is installed."""
    db = other(url)
    app = FastAPI()

    @app.post("/items/{name}")
    async def create(name: str, session: Annotated[AsyncSession, Depends(db.get_session)]) -> None:
        await session.exec(text("INSERT INTO item (name) VALUES (:name)"), params={"name": name})

    transport = httpx.ASGITransport(app=app)
    async with db, httpx.AsyncClient(transport=transport, base_url="http://t") as client:
        assert (await client.post("/items/ann")).status_code == 200
        with pytest.raises(errors.UniqueViolation):
            await client.post("/items/ann")


async def test_two_databases_are_told_apart(url: str) -> None:
    """Each has annotations of its own; the first is the one of ``WriteSession``."""
    first, second = other(url), other(f"{url}?application_name=second")
    app = FastAPI(lifespan=lifespan(first, second))
    name = text("SELECT current_setting('application_name')")

    @app.get("/")
    async def both(one: ReadSession, two: second.read_session) -> list[str]:
        return [(await session.exec(name)).one()[0] for session in (one, two)]

    async with client_of(app) as client:
        assert (await client.get("/")).json() == ["onetrip", "second"]
    assert (first.stats().idle, second.stats().idle) == (0, 0)


async def test_a_lifespan_can_run_twice(db: AsyncDatabase | Database) -> None:
    """A module-level application is tested again and again: each lifespan opens and closes the database."""
    app = app_for(db, "WriteSession")
    for name in ("ann", "bob"):
        async with client_of(app) as client:
            assert (await client.post(f"/items/{name}")).status_code == 201
        assert db.stats().idle == 0


async def test_an_own_route_is_not_replaced(url: str) -> None:
    """An application that has a /livez keeps it."""
    app = app_for(other(url), "WriteSession")

    @app.get("/livez")
    async def livez() -> str:
        return "mine"

    async with client_of(app) as client:
        assert (await client.get("/livez")).json() == "mine"


async def test_dependency_overrides_work(url: str) -> None:
    """The literal dependency can be overridden in a test like any other."""
    db = other(url)
    app = app_for(db, "literal")
    used = []

    async def override() -> Any:
        used.append(1)
        async with db.transaction() as session:
            yield session

    app.dependency_overrides[db.get_session] = override
    async with client_of(app) as client:
        assert (await client.post("/items/ann")).status_code == 201
    assert used == [1]


async def test_a_router_and_a_mounted_application_have_sessions_too(url: str) -> None:
    """Included routers and mounted applications find the same database, and commit in time."""
    from fastapi import APIRouter

    from onetrip.fastapi import WriteSession

    db = other(url)
    app, inner, router = FastAPI(lifespan=lifespan(db)), FastAPI(), APIRouter(prefix="/routed")
    insert = text("INSERT INTO item (name) VALUES ('x')")

    @inner.post("/items")
    @router.post("/items")
    async def create(session: WriteSession) -> None:
        await session.exec(insert)

    app.include_router(router)
    app.mount("/mounted", inner)
    async with client_of(app) as client:
        assert (await client.post("/routed/items")).status_code == 200
        assert (await client.post("/mounted/items")).status_code == 500
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("DELETE FROM item")
        assert (await client.post("/mounted/items")).status_code == 200
