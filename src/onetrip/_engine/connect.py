"""Opening one connection: with the password of the moment, and with our errors."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine, event

from onetrip._core import classify
from onetrip._engine import bridge
from onetrip._engine.passwords import Passwords
from onetrip.errors import AuthenticationFailed, Phase

if TYPE_CHECKING:
    from sqlalchemy.engine.interfaces import Dialect

    from onetrip.settings import Settings


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
    try:
        if dialect.is_async:
            return bridge.wait_for(_connect_whole(dialect, args, arguments))
        return dialect.connect(*args, **arguments)
    except (dialect.loaded_dbapi.Error, OSError) as error:
        found = classify.facts(error)
        kind = classify.classify(found, Phase.CONNECT)
        raise classify.explain(found, kind, Phase.CONNECT, where) from found.driver_error


async def _connect_whole(dialect: Dialect, args: list[Any], arguments: dict[str, Any]) -> Any:
    async def discard(connection: Any) -> None:
        await bridge.in_greenlet(dialect.do_terminate, connection)

    return await bridge.take_or_discard(bridge.in_greenlet(partial(dialect.connect, *args, **arguments)), discard)
