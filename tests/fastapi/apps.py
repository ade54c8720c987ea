"""Applications as users write them: coroutine routes for AsyncDatabase, ``def`` routes for Database."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

from fastapi import BackgroundTasks, Depends, FastAPI, HTTPException, Response
from fastapi.responses import StreamingResponse
from sqlalchemy import text
from sqlmodel import Session
from sqlmodel.ext.asyncio.session import AsyncSession

from onetrip import AsyncDatabase, Database
from onetrip.fastapi import ReadSession, WriteSession, lifespan

INSERT = text("INSERT INTO item (name) VALUES (:name)")
COUNT = text("SELECT count(*) FROM item")


class Teapot(Exception):
    """An error that the application does not handle."""


@contextmanager
def remembering(app: FastAPI) -> Iterator[None]:
    """Keep the error of a background task, which no response can tell of."""
    try:
        yield
    except Exception as error:
        app.state.late = error
        raise


def app_for(db: AsyncDatabase | Database, style: str) -> FastAPI:
    """Build the same application with ``WriteSession``, ``db.write_session`` or literal ``Depends(db.get_session)``."""
    return _coroutines(db, style) if isinstance(db, AsyncDatabase) else _functions(db, style)


def _coroutines(db: AsyncDatabase, style: str) -> FastAPI:
    app = FastAPI(lifespan=lifespan(db))
    literal = Annotated[AsyncSession, Depends(db.get_session)]
    Writing: Any = {"WriteSession": WriteSession, "write_session": db.write_session, "literal": literal}[style]  # noqa: N806

    @app.post("/items/{name}", status_code=201)
    async def create(name: str, session: Writing, also_fail: str = "") -> dict[str, str]:
        await session.exec(INSERT, params={"name": name})
        _maybe_fail(also_fail)
        return {"name": name}

    @app.post("/returned/{name}/{status}")
    async def returned(name: str, status: int, session: Writing) -> Response:
        await session.exec(INSERT, params={"name": name})
        return Response(status_code=status)

    @app.post("/stream/{name}")
    async def stream(name: str, session: Writing) -> StreamingResponse:
        await session.exec(INSERT, params={"name": name})

        async def chunks() -> Any:
            for _ in range(3):
                yield f"{db.stats().in_use}\n"

        return StreamingResponse(chunks())

    @app.post("/late/{name}")
    async def late(name: str, session: Writing, tasks: BackgroundTasks, own: bool = False) -> dict[str, str]:
        async def work(mine: AsyncSession) -> None:
            with remembering(app):
                await mine.exec(INSERT, params={"name": name})

        if own:
            tasks.add_task(db.background, work)
        else:
            tasks.add_task(work, session)
        return {}

    @app.get("/both")
    async def both(read: ReadSession, write: Writing) -> dict[str, Any]:
        await read.exec(COUNT)
        await write.exec(INSERT, params={"name": "both"})
        return {"same": read is write, "count": (await read.exec(COUNT)).one()[0], "in_use": db.stats().in_use}

    @app.get("/reading")
    async def reading(session: ReadSession, name: str = "") -> int:
        if name:
            await session.exec(INSERT, params={"name": name})
        return (await session.exec(COUNT)).one()[0]

    @app.get("/sleep/{seconds}")
    async def sleep(seconds: float, session: ReadSession) -> None:
        await session.exec(text("SELECT pg_sleep(:seconds)"), params={"seconds": seconds})

    return app


def _functions(db: Database, style: str) -> FastAPI:
    app = FastAPI(lifespan=lifespan(db))
    literal = Annotated[Session, Depends(db.get_session)]
    Writing: Any = {"WriteSession": WriteSession, "write_session": db.write_session, "literal": literal}[style]  # noqa: N806
    Reading: Any = ReadSession  # noqa: N806

    @app.post("/items/{name}", status_code=201)
    def create(name: str, session: Writing, also_fail: str = "") -> dict[str, str]:
        session.exec(INSERT, params={"name": name})
        _maybe_fail(also_fail)
        return {"name": name}

    @app.post("/returned/{name}/{status}")
    def returned(name: str, status: int, session: Writing) -> Response:
        session.exec(INSERT, params={"name": name})
        return Response(status_code=status)

    @app.post("/stream/{name}")
    def stream(name: str, session: Writing) -> StreamingResponse:
        session.exec(INSERT, params={"name": name})
        return StreamingResponse(f"{db.stats().in_use}\n" for _ in range(3))

    @app.post("/late/{name}")
    def late(name: str, session: Writing, tasks: BackgroundTasks, own: bool = False) -> dict[str, str]:
        def work(mine: Session) -> None:
            with remembering(app):
                mine.exec(INSERT, params={"name": name})

        if own:
            tasks.add_task(db.background, work)
        else:
            tasks.add_task(work, session)
        return {}

    @app.get("/both")
    def both(read: Reading, write: Writing) -> dict[str, Any]:
        read.exec(COUNT)
        write.exec(INSERT, params={"name": "both"})
        return {"same": read is write, "count": read.exec(COUNT).one()[0], "in_use": db.stats().in_use}

    @app.get("/reading")
    def reading(session: Reading, name: str = "") -> int:
        if name:
            session.exec(INSERT, params={"name": name})
        return session.exec(COUNT).one()[0]

    @app.get("/sleep/{seconds}")
    def sleep(seconds: float, session: Reading) -> None:
        session.exec(text("SELECT pg_sleep(:seconds)"), params={"seconds": seconds})

    return app


def _maybe_fail(how: str) -> None:
    if how == "http":
        raise HTTPException(418, "no coffee")
    if how == "crash":
        raise Teapot
