"""Applications under test, whose code knows nothing of it."""

import asyncio
import warnings
from collections.abc import Iterator
from typing import Annotated, Any

import httpx
import pytest
from fastapi import BackgroundTasks, Depends, FastAPI, HTTPException
from sqlmodel import Session

from onetrip import AsyncDatabase, Database, Settings
from onetrip.fastapi import ReadSession, WriteSession, lifespan
from onetrip.testing._worker import Stage, Worker

from .models import NAMES, Item

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", message="Using `httpx`")
    from fastapi.testclient import TestClient

NOWHERE = "postgresql://nobody@127.0.0.1:1/app"


def coroutine_app(driver: str) -> tuple[AsyncDatabase, FastAPI]:
    """Make an application of coroutine routes whose database is out of reach."""
    db = AsyncDatabase(settings=Settings(database_url=NOWHERE, driver=driver))
    app = FastAPI(lifespan=lifespan(db))

    async def note(session: Any, name: str) -> None:
        session.add(Item(name=name))

    @app.post("/items/{name}")
    async def create(name: str, session: WriteSession, later: BackgroundTasks) -> int | None:
        item = Item(name=name)
        session.add(item)
        await session.flush()
        later.add_task(db.background, note, f"{name}-noted")
        if name == "teapot":
            raise HTTPException(418)
        return item.id

    @app.get("/items")
    async def read(session: ReadSession) -> list[str]:
        return list(await session.exec(NAMES))

    return db, app


def blocking_app(driver: str) -> tuple[Database, FastAPI]:
    """Make the same of ``def`` routes and the literal dependency."""
    db = Database(settings=Settings(database_url=NOWHERE, driver=driver))
    app = FastAPI(lifespan=lifespan(db))

    def note(session: Session, name: str) -> None:
        session.add(Item(name=name))

    @app.post("/items/{name}")
    def create(name: str, session: Annotated[Session, Depends(db.get_session)], later: BackgroundTasks) -> int | None:
        item = Item(name=name)
        session.add(item)
        session.flush()
        later.add_task(db.background, note, f"{name}-noted")
        if name == "teapot":
            raise HTTPException(418)
        return item.id

    @app.get("/items")
    def read(session: db.read_session) -> list[str]:  # type: ignore[name-defined]
        return list(session.exec(NAMES))

    return db, app


APPS = {
    "async-psycopg": (coroutine_app, "psycopg"),
    "async-asyncpg": (coroutine_app, "asyncpg"),
    "def-psycopg": (blocking_app, "psycopg"),
    "def-psycopg2": (blocking_app, "psycopg2"),
}
every_app = pytest.mark.parametrize("kind", APPS)
both_modes = pytest.mark.parametrize("committed", [False, True], ids=["rolled back", "committed"])


@every_app
@both_modes
def test_a_blocking_client_with_lifespan(worker: Worker, kind: str, committed: bool) -> None:
    """TestClient starts and stops the application on a loop of its own; the test reads what was committed there."""
    make, driver = APPS[kind]
    app_db, app = make(driver)
    for _ in range(2):
        with worker.test([app_db], committed=committed) as stage, stage.database() as db:
            with TestClient(app) as client:
                assert client.get("/readyz").status_code == 200
                assert client.post("/items/a").status_code == 200
                assert client.post("/items/a").status_code == 409
                assert client.post("/items/teapot").status_code == 418
                assert client.get("/items").json() == ["a", "a-noted"]
            assert db.fetch_all(NAMES) == ["a", "a-noted"]
            with TestClient(app) as client:
                assert client.get("/items").json() == ["a", "a-noted"]


@every_app
@both_modes
async def test_an_awaiting_client(worker: Worker, kind: str, committed: bool) -> None:
    """Httpx over ASGITransport, twenty requests at once: each is whole, and the test reads them all."""
    make, driver = APPS[kind]
    app_db, app = make(driver)
    transport = httpx.ASGITransport(app)
    with worker.test([app_db], committed=committed) as stage, stage.async_database() as db:
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://t") as http,
        ):
            answers = await asyncio.gather(*(http.post(f"/items/{number:02}") for number in range(20)))
            assert {answer.status_code for answer in answers} == {200}
            assert len((await http.get("/items")).json()) == 40
        assert len(await db.fetch_all(NAMES)) == 40


@every_app
def test_a_session_of_the_test_around_requests(worker: Worker, kind: str) -> None:
    """The session fixture of many projects: open for the whole test, its rows seen by requests, theirs by it."""
    make, driver = APPS[kind]
    app_db, app = make(driver)
    with worker.test([app_db], committed=False) as stage, stage.database() as db, db.transaction() as session:
        session.add(Item(name="arranged"))
        session.flush()
        with TestClient(app) as client:
            assert client.get("/items").json() == ["arranged"]
            assert client.post("/items/b").status_code == 200
        assert list(session.exec(NAMES)) == ["arranged", "b", "b-noted"]


def test_overriding_a_dependency(stage: Stage) -> None:
    """An application that is not on onetrip is given the test's session by FastAPI's own means."""
    app = FastAPI()

    def get_session() -> Iterator[Session]:
        raise AssertionError

    @app.post("/items/{name}")
    def create(name: str, session: Annotated[Session, Depends(get_session)]) -> str:
        session.add(Item(name=name))
        session.commit()
        return name

    with stage.database() as db:
        app.dependency_overrides[get_session] = db.get_session
        with TestClient(app) as client:
            assert client.post("/items/a").status_code == 200
        assert db.fetch_all(NAMES) == ["a"]
