"""A write in flight is finished or rolled back as a whole, whatever the client does."""

import asyncio
import random
from collections.abc import Callable
from typing import Any

import anyio
import pytest
from fastapi import FastAPI
from sqlalchemy import text

from onetrip import AsyncDatabase, Database
from onetrip.fastapi import WriteSession, lifespan
from tests.fastapi.apps import app_for
from tests.harness.wait import until_async

PAUSE = text("SELECT pg_sleep(0.02)")


def two_rows(db: AsyncDatabase) -> FastAPI:
    """Build an application that writes two rows with a pause between them."""
    app = FastAPI(lifespan=lifespan(db))

    @app.post("/pairs/{name}")
    async def create(name: str, session: WriteSession) -> None:
        for half in "ab":
            await session.exec(text("INSERT INTO item (name) VALUES (:name)"), params={"name": name + half})
            await session.exec(PAUSE)

    return app


def scope(path: str) -> dict[str, Any]:
    """Return the ASGI scope of a POST."""
    return {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "path": path,
            "raw_path": path.encode(), "root_path": "", "scheme": "http", "query_string": b"", "headers": [],
            "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80)}  # fmt: skip


async def call(app: FastAPI, path: str, acknowledged: list[str]) -> None:
    """Send one request and note the path once the response begins with a 2xx."""

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start" and message["status"] < 300:
            acknowledged.append(path)

    await app(scope(path), receive, send)


async def by_asyncio(app: FastAPI, path: str, after: float, acknowledged: list[str]) -> None:
    """Cancel the request's task once."""
    task = asyncio.ensure_future(call(app, path, acknowledged))
    await asyncio.sleep(after)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def by_anyio(app: FastAPI, path: str, after: float, acknowledged: list[str]) -> None:
    """Cancel the scope around it: every await inside is cancelled, again and again."""
    with anyio.move_on_after(after):
        await call(app, path, acknowledged)


@pytest.mark.parametrize("cancel", [by_asyncio, by_anyio])
async def test_cancelled_at_any_moment_a_write_is_whole(
    async_db: AsyncDatabase, rows: Callable[[], list[str]], cancel: Callable[..., Any]
) -> None:
    """Sixty requests cancelled at random: both rows or none, every acknowledged pair there, the pool whole."""
    seed = random.randrange(10**6)
    print(f"seed={seed}")
    dice = random.Random(seed)
    app = two_rows(async_db)
    acknowledged: list[str] = []
    async with app.router.lifespan_context(app):
        moments = [dice.uniform(0, 0.08) for _ in range(60)]
        for start in range(0, 60, 3):
            await asyncio.gather(
                *(cancel(app, f"/pairs/{start + i}.", moments[start + i], acknowledged) for i in range(3))
            )
        await until_async(lambda: async_db.stats().in_use == 0)
        stored = rows()
    pairs = {name[:-1] for name in stored}
    assert sorted(stored) == sorted(pair + half for pair in pairs for half in "ab")
    assert {path.rpartition("/")[2] for path in acknowledged} <= pairs


async def test_a_client_that_hangs_up_does_not_half_write(
    db: AsyncDatabase | Database, rows: Callable[[], list[str]]
) -> None:
    """A real server, a real socket closed after the request was sent: every row is there, and the pool is whole."""
    import uvicorn

    server = uvicorn.Server(uvicorn.Config(app_for(db, "WriteSession"), port=0, log_level="error"))
    serving = asyncio.ensure_future(server.serve())
    await until_async(lambda: server.started)
    port = server.servers[0].sockets[0].getsockname()[1]
    for number in range(20):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"POST /items/x{number} HTTP/1.1\r\nHost: t\r\nContent-Length: 0\r\n\r\n".encode())
        await writer.drain()
        writer.close()
        await writer.wait_closed()
    await until_async(lambda: len(rows()) == 20)
    await until_async(lambda: db.stats().in_use == 0)
    server.should_exit = True
    await serving
