"""FastAPI: a session per request that commits before the response, and errors that become the right status.

::

    db = AsyncDatabase()
    app = FastAPI(lifespan=lifespan(db))

    @app.post("/tasks")
    async def create(task: Task, session: WriteSession) -> Task: ...

``def`` routes take a ``Database``, and ``db.write_session`` and ``db.read_session`` as annotations. The response is
built before the COMMIT and sent after it: what the database makes up, such as an id, needs ``await session.flush()``.
"""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

from fastapi import Depends, FastAPI, Request
from fastapi.responses import JSONResponse
from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import HTTPConnection

from onetrip._core.tiers import function_runtime
from onetrip._engine.budget import deadline
from onetrip.aio import AsyncDatabase
from onetrip.database import Database
from onetrip.errors import ConfigurationError, DatabaseError, OnetripError, Retry, UnsafeUse

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["ReadSession", "WriteSession", "lifespan"]

_DATABASE = "onetrip.database"
_log = logging.getLogger("onetrip")

LIVENESS, READINESS = "/livez", "/readyz"
RETRY_AFTER = 1
"""Seconds that a client is told to wait when the database was busy, waking or away."""
READINESS_MEMORY = 5.0
"""Seconds for which one failure to get a connection makes /readyz say 503."""

# What a client may know; hosts, SQL and constraint names stay in the log.
_PUBLIC = {
    507: "the database has no room left",
    503: "the database is not available right now",
    500: "the database could not do this",
    409: "this conflicts with what is already stored",
    422: "a value is not valid for its column",
    403: "this is not allowed",
}


def lifespan(*databases: AsyncDatabase | Database) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    """Connect an application and its databases: ``FastAPI(lifespan=lifespan(db))``.

    Adds error handlers (503 with ``Retry-After`` for a database that is busy or waking), ``/livez``, which never
    touches the database, ``/readyz``, which never wakes it, and the deadline of ``DATABASE_REQUEST_DEADLINE`` seconds
    for every request. The first database is the one of ``WriteSession`` and ``ReadSession``;
    another one has ``other.write_session`` and ``other.read_session``. Closes the databases at shutdown, but not in a
    function runtime, where every invocation ends with one. Inside a lifespan of your own: ``async with
    lifespan(db)(app): …``.
    """
    if not databases:
        raise ConfigurationError("lifespan() was given no database", hint="write lifespan(db)")

    @asynccontextmanager
    async def run(app: FastAPI) -> AsyncIterator[None]:
        _install(app, databases)
        for database in databases:
            database.open()
        try:
            yield
        finally:
            # A function's lifespan ends with every invocation (Mangum's does): the next one uses the connection again.
            if function_runtime(os.environ) is None:
                for database in databases:
                    await _call(database.close)

    return run


async def _writing(request: HTTPConnection) -> Any:
    return await _session(request, write=True)


async def _reading(request: HTTPConnection) -> Any:
    return await _session(request, write=False)


WriteSession = Annotated[AsyncSession, Depends(_writing)]
"""The request's session: commits before the response is sent, rolls back on an exception."""

ReadSession = Annotated[AsyncSession, Depends(_reading)]
"""The request's session, READ ONLY on the server unless the same request also asks for a ``WriteSession``."""


async def _session(request: HTTPConnection, *, write: bool) -> Any:
    database = request.scope.get(_DATABASE)
    if database is None:
        raise UnsafeUse(
            "no database is connected to this application",
            hint="write FastAPI(lifespan=lifespan(db)); in a test, `with TestClient(app) as client` runs the lifespan",
        )
    return await _call(database.request_session, request, write=write)


async def _call(method: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    if isinstance(getattr(method, "__self__", None), AsyncDatabase):
        return await method(*args, **kwargs)
    return await run_in_threadpool(method, *args, **kwargs)


class RequestScope:
    """Give every request its database and its deadline, and answer the probes."""

    def __init__(self, app: ASGIApp, databases: tuple[AsyncDatabase | Database, ...], probes: frozenset[str]) -> None:
        self.app = app
        self.databases = databases
        self.probes = probes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (path := _path(scope)) in self.probes:
            await self._probe(path)(scope, receive, send)
            return
        scope[_DATABASE] = self.databases[0]
        # A WebSocket lives as long as its user stays; only a request has a time by which it must be answered.
        limit = self.databases[0].settings.request_deadline if scope["type"] == "http" else 0
        with deadline(limit or None):
            await self.app(scope, receive, send)

    def _probe(self, path: str) -> JSONResponse:
        """Answer from memory alone: a probe that queries keeps a serverless compute awake."""
        if path == LIVENESS:
            return JSONResponse({"status": "alive"})
        for database in self.databases:
            if (failure := database.recent_failure(READINESS_MEMORY)) is not None:
                return JSONResponse(
                    {"status": "unavailable", "code": failure.code}, 503, headers={"Retry-After": str(RETRY_AFTER)}
                )
        return JSONResponse({"status": "ready"})


def _path(scope: Scope) -> str:
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", "").rstrip("/"))


def _install(app: FastAPI, databases: tuple[AsyncDatabase | Database, ...]) -> None:
    """Add what is ours to a starting application, once.

    Starlette has built its stack of middleware by then, so it is built again.
    """
    if any(entry.cls is RequestScope for entry in app.user_middleware):  # type: ignore[comparison-overlap]
        return
    own = {getattr(route, "path", None) for route in app.routes}
    probes = frozenset({LIVENESS, READINESS}) - own
    app.user_middleware.insert(0, Middleware(RequestScope, databases=databases, probes=probes))
    app.exception_handlers.setdefault(OnetripError, _answer)
    app.middleware_stack = app.build_middleware_stack()


async def _answer(request: Request, error: Exception) -> JSONResponse:
    status = error.http_status if isinstance(error, DatabaseError) else 500
    code = error.code if isinstance(error, OnetripError) else "error"
    again = isinstance(error, DatabaseError) and status == 503 and error.retry is not Retry.NO
    if status >= 500:
        # A handled exception is not logged by anyone else.
        _log.log(
            logging.WARNING if again else logging.ERROR,
            "%s %s",
            request.method,
            quote(_path(request.scope)),  # decoded it may hold a line break, and write a record of its own
            exc_info=error,
        )
    return JSONResponse(
        {"detail": _PUBLIC[status], "code": code},
        status_code=status,
        headers={"Retry-After": str(RETRY_AFTER)} if again else None,
    )
