"""asyncpg's connection: what is owed goes with the next query, and nobody meets the last user's transaction.

asyncpg's public API takes several statements in one query, and one statement alone when it brings parameters. So all
that opens a transaction, and the ROLLBACK of the one before, is one trip, and the statement is the next.
"""

from __future__ import annotations

import asyncio
import select
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import asyncpg
from asyncpg.transaction import Transaction
from sqlalchemy.util import await_
from sqlalchemy.util.concurrency import in_greenlet

from onetrip._engine.dialects import janitor
from onetrip._engine.dialects.trip import Trip

READINGS = 8
"""How often the event loop may run to read what waits in a socket: a farewell and an end of file take three."""


class _Transaction(Transaction):  # type: ignore[misc]
    """Be asyncpg's transaction; it does not begin inside one that is over."""

    async def start(self) -> None:
        if self._connection.trip.owes_rollback:
            await self._connection.settle()
        await super().start()


class TripConnection(asyncpg.Connection):  # type: ignore[misc]
    """Be asyncpg's connection; a ROLLBACK that is owed goes in front of whatever its user sends.

    Who takes it out of SQLAlchemy's hands (``driver_connection``) and calls it directly pays the debt first, with a
    trip of its own. A prepared statement that was kept across the end of a transaction does not: prepare it again.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.trip = Trip()
        self.lock = asyncio.Lock()
        """Whoever holds it is talking to the server."""
        self.answer = ""
        """What the server called the last thing that we sent; a COMMIT that it refused is a "ROLLBACK"."""

    async def send(self, *commands: str) -> None:
        """Send what is owed and these commands, as one query; the lock is the caller's."""
        owed = ("ROLLBACK",) if self.trip.owes_rollback else ()
        try:
            self.answer = await super().execute("; ".join(owed + commands))
        except BaseException as error:
            self.trip.owes_rollback = False
            if not isinstance(error, asyncpg.PostgresError) or self.is_in_transaction():
                self.leave()
            raise
        self.trip.owes_rollback = False

    def begun(self) -> Any:
        """Let a ``transaction()`` of asyncpg's own be a savepoint in the one that was opened."""
        self._top_xact = super().transaction()
        return self._top_xact

    def leave(self) -> None:
        """Owe a ROLLBACK; nothing is sent, and nothing awaited."""
        self._top_xact = None
        if not self.is_closed():
            self.trip.owes_rollback = True
            janitor.of_loops.owe(self)

    async def pay(self) -> None:
        """Send the ROLLBACK that is owed and wait for its answer; whoever is using the connection does so himself."""
        if self.trip.owes_rollback and not self.lock.locked():
            await self.settle()

    async def settle(self, timeout: float | None = None) -> None:  # noqa: ASYNC109  asyncpg's own knows what to cancel
        """Send the ROLLBACK that is owed; a connection on which that fails is closed."""
        async with self.lock:
            if self.trip.owes_rollback and not self.is_closed():
                try:
                    await super().execute("ROLLBACK", timeout=timeout or janitor.LONGEST)
                except BaseException:
                    self.terminate()
                    raise
            self.trip.owes_rollback = False

    def is_in_transaction(self) -> bool:
        """Say what its user sees: a transaction that only waits for its ROLLBACK is over."""
        return not (self.trip.owes_rollback or self.is_closed()) and bool(super().is_in_transaction())

    def transaction(self, *, isolation: Any = None, readonly: bool = False, deferrable: bool = False) -> _Transaction:
        """Return a transaction as asyncpg does."""
        self._check_open()
        return _Transaction(self, isolation, readonly, deferrable)

    async def close(self, *, timeout: float | None = None) -> None:  # noqa: ASYNC109  asyncpg's signature
        """Close the connection, the transaction that nobody needs any more first: a pooler keeps what left in order."""
        if self.trip.owes_rollback:
            with suppress(Exception):
                await self.settle(timeout)
        await super().close(timeout=timeout)


def _settled_first(method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    async def settled(self: TripConnection, *arguments: Any, **options: Any) -> Any:
        if self.trip.owes_rollback:
            await self.settle()
        return await method(self, *arguments, **options)

    settled.__name__ = method.__name__
    settled.__doc__ = method.__doc__
    return settled


_COPY = ("copy_from_table", "copy_from_query", "copy_to_table", "copy_records_to_table")
for _name in ("execute", "executemany", "prepare", "fetch", "fetchval", "fetchrow", "fetchmany", *_COPY):
    setattr(TripConnection, _name, _settled_first(getattr(asyncpg.Connection, _name)))


def looks_alive(connection: asyncpg.Connection) -> bool:
    """Look at a connection, without a trip: the loop reads what waits in the socket, and a dead one is closed then."""
    for _ in range(READINGS if in_greenlet() else 0):
        if connection.is_closed() or not _readable(connection):
            break
        await_(asyncio.sleep(0))
    return not connection.is_closed()


def _readable(connection: asyncpg.Connection) -> bool:
    transport = connection._transport
    number = -1 if transport.is_closing() else transport.get_extra_info("socket").fileno()
    if number < 0:
        return True  # on its way out; the loop will say so
    poll = select.poll()
    poll.register(number, select.POLLIN)
    return bool(poll.poll(0))


def close_without_loop(connection: asyncpg.Connection) -> None:
    """Close a connection whose event loop does not run any more: asyncio would leave its socket open, and say so."""
    transport = connection._transport
    with suppress(RuntimeError):  # "Event loop is closed"
        connection.terminate()
    transport = getattr(getattr(transport, "_ssl_protocol", None), "_transport", transport)
    # uvloop closes sockets with the loop; asyncio would have done so at the loop's next turn.
    if connection._loop.is_closed() and getattr(transport, "_sock", None) is not None:
        with suppress(RuntimeError):
            transport._call_connection_lost(None)
