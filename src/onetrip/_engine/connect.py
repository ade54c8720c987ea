"""Opening one connection: with the password of the moment, within the caller's deadline, and with our errors."""

from __future__ import annotations

import asyncio
from functools import partial
from math import ceil
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine, event

from onetrip._engine import bridge, budget
from onetrip._engine.passwords import Passwords
from onetrip.errors import AuthenticationFailed, ConnectTimeout, DeadlineExceeded, Phase

if TYPE_CHECKING:
    from sqlalchemy.engine.interfaces import Dialect

    from onetrip.settings import Settings

LIBPQ_SHORTEST = 2
"""Seconds, whole ones: libpq takes no shorter connect_timeout than this."""


def listen(engine: Engine, settings: Settings, where: str) -> None:
    """Let the engine connect through here; ``where`` names host, port and database in errors."""
    passwords = Passwords(settings)

    @event.listens_for(engine, "do_connect")
    def do_connect(dialect: Dialect, _record: object, args: list[Any], arguments: dict[str, Any]) -> Any:
        def connect(password: str | None) -> Any:
            # Copied: the engine lends the same dictionary to every thread.
            return _connect(dialect, args, arguments | ({} if password is None else {"password": password}), where)

        password = passwords.current()
        try:
            return connect(password)
        except AuthenticationFailed:
            # Once: a second refusal is no rotation under way, and servers lock accounts that keep trying.
            if (password := passwords.renewed(password)) is None:
                raise
        return connect(password)


def _connect(dialect: Dialect, args: list[Any], arguments: dict[str, Any], where: str) -> Any:
    left = budget.remaining()
    try:
        if dialect.is_async:
            return bridge.wait_for(_connect_whole(dialect, args, arguments, left))
        if left is not None:
            arguments["connect_timeout"] = min(arguments["connect_timeout"], max(LIBPQ_SHORTEST, ceil(left)))
        return dialect.connect(*args, **arguments)
    except (dialect.loaded_dbapi.Error, OSError) as error:
        from onetrip._core import classify

        found = classify.facts(error)
        kind = classify.classify(found, Phase.CONNECT)
        if kind is ConnectTimeout and (limit := budget.passed()):
            raise DeadlineExceeded(
                f"the deadline of {limit.given:g} s ended the wait for a connection to {where}",
                phase=Phase.CONNECT,
                hint="a suspended database takes a moment to wake; the next attempt may find it up",
            ) from found.driver_error
        raise classify.explain(found, kind, Phase.CONNECT, where) from found.driver_error


async def _connect_whole(dialect: Dialect, args: list[Any], arguments: dict[str, Any], left: float | None) -> Any:
    async def discard(connection: Any) -> None:
        await bridge.in_greenlet(dialect.do_terminate, connection)

    async with asyncio.timeout(left):
        return await bridge.take_or_discard(bridge.in_greenlet(partial(dialect.connect, *args, **arguments)), discard)
