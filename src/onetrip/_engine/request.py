"""One session per request, ended when the route function returns: before the first byte of the response.

FastAPI leaves a ``yield`` dependency only after the response has been sent, unless it is declared with
``scope="function"``; a failed COMMIT would then follow a 2xx. FastAPI keeps an exit stack of its own for those
function-scoped dependencies, and our sessions go onto that stack whichever way they were asked for.
https://fastapi.tiangolo.com/tutorial/dependencies/dependencies-with-yield/
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager, AsyncExitStack
from typing import Annotated, Any, TypeVar

from onetrip._engine import bridge
from onetrip.errors import UnsafeUse

F = TypeVar("F", bound=Callable[..., Any])

_STACK = "fastapi_function_astack"
_SESSIONS = "onetrip.sessions"


class RequestSession:
    """Hold what one request has open on one database."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self._stack = stack
        self.session: Any = None
        self.writes = False

    def opened(self, session: Any, leave: AbstractAsyncContextManager[Any] | AbstractContextManager[Any]) -> None:
        """Keep the session for the rest of the route function, and end it right after."""
        self.session = session
        self._stack.push_async_exit(leave if isinstance(leave, AbstractAsyncContextManager) else _in_thread(leave))


def request_session(request: Any, database: object) -> RequestSession:
    """Return what this request has open on this database; refuse a request that FastAPI does not run."""
    stack = request.scope.get(_STACK)
    if not isinstance(stack, AsyncExitStack):
        raise UnsafeUse(
            "this request has no place where a session could end before the response is sent",
            hint="FastAPI 0.125 or later is needed; elsewhere use `async with db.transaction() as session`",
        )
    # The stack is the key: an included or mounted application runs its route functions on stacks of its own.
    opened: dict[tuple[int, int], RequestSession] = request.scope.setdefault(_SESSIONS, {})
    return opened.setdefault((id(stack), id(database)), RequestSession(stack))


def injectable(dependency: F) -> F:
    """Let FastAPI hand the request to ``dependency``, without importing a web framework for those who use none."""
    try:
        from starlette.requests import HTTPConnection
    except ImportError:
        return dependency
    parameter = inspect.Parameter("request", inspect.Parameter.KEYWORD_ONLY, annotation=HTTPConnection)
    dependency.__signature__ = inspect.Signature([parameter])  # type: ignore[attr-defined]
    return dependency


def annotation(session_class: type, dependency: Callable[..., Any]) -> Any:
    """Return the annotation of a route's parameter that is filled by ``dependency``."""
    from fastapi import Depends

    return Annotated[session_class, Depends(injectable(dependency))]


def _in_thread(manager: AbstractContextManager[Any]) -> Callable[..., Awaitable[bool | None]]:
    """Leave a blocking context manager off the event loop.

    The thread does not count against those that run route functions: they may all be waiting for the very connection
    that is given back here (https://github.com/fastapi/fastapi/issues/3205).
    """
    from anyio import CapacityLimiter
    from anyio.to_thread import run_sync

    async def leave(*error: Any) -> bool | None:
        return await bridge.finish(run_sync(manager.__exit__, *error, limiter=CapacityLimiter(1)))

    return leave
