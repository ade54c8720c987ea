"""The application: ``uvicorn --factory app.main:create_app`` serves it."""

import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse
from fastapi_offline import FastAPIOffline

from app import demo, routes
from app.auth import AuthSettings, Tokens
from onetrip import AsyncDatabase
from onetrip.fastapi import lifespan

PAGE = Path(__file__).parent / "page" / "index.html"


def create_app(db: AsyncDatabase | None = None, auth: AuthSettings | None = None) -> FastAPI:
    """Put the application together; what is not given comes from the environment."""
    db = db or AsyncDatabase()

    @asynccontextmanager
    async def run(app: FastAPI) -> AsyncIterator[None]:
        async with lifespan(db)(app):
            if db.settings.tier != "test":  # a test process has other things to do as well
                # What is there now stays: looking it over again and again costs some requests 50 ms each.
                gc.collect()
                gc.freeze()
            yield

    # FastAPI itself, with /docs from this machine instead of from a CDN.
    app = FastAPIOffline(title="Tasks", summary="ADR-010's application on onetrip", version="1.0.0", lifespan=run)
    app.state.db = db
    app.state.tokens = Tokens(auth or AuthSettings(), db.settings.tier)
    app.add_exception_handler(RequestValidationError, _say_what_is_wrong)
    app.include_router(routes.router)
    if app.state.tokens.demo:
        app.include_router(demo.router)

    @app.get("/", include_in_schema=False)
    async def page() -> FileResponse:
        return FileResponse(PAGE, headers={"Content-Security-Policy": CSP})

    return app


CSP = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; img-src data:"


async def _say_what_is_wrong(_: Request, error: Exception) -> JSONResponse:
    """Say which field and why, without the value: it may hold what no JSON can (NaN, half a surrogate pair)."""
    assert isinstance(error, RequestValidationError)
    fields = [
        {
            "loc": [repr(part) if isinstance(part, str) and not part.isprintable() else part for part in wrong["loc"]],
            "msg": wrong["msg"],
            "type": wrong["type"],
        }
        for wrong in error.errors()
    ]
    return JSONResponse({"detail": fields}, status_code=422)
