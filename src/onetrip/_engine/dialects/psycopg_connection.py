"""psycopg 3's connections and cursors, blocking and asyncio, whose transactions start with their first statement."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any

import psycopg
from psycopg import pq
from psycopg.waiting import wait_async

from onetrip._engine import bridge
from onetrip._engine.dialects import janitor
from onetrip._engine.dialects.psycopg_flight import Rides, RidingCursor, Steps


class TripConnection(Rides, psycopg.Connection[Any]):
    """Be psycopg's connection, whose transactions start with their first statement."""

    def rollback(self) -> None:
        """End the transaction; nothing is sent for it, nor waited for."""
        if self._must_tell() or not self.lock.acquire(blocking=False):
            super().rollback()
            return
        try:
            self._leave()
        finally:
            self.lock.release()

    def _ask_janitor(self) -> None:
        janitor.of_threads.owe(self)

    def pay(self) -> None:
        """Send the ROLLBACK that is owed and wait for its answer; whoever is using the connection does so himself."""
        if self.trip.owes_rollback and self.lock.acquire(blocking=False):
            try:
                self._settle()
            finally:
                self.lock.release()

    def _settle(self) -> None:
        try:
            self.wait(self._settle_gen(), timeout=janitor.LONGEST)
        except psycopg.errors._WaitTimeout:
            self.pgconn.finish()

    def looks_alive(self) -> bool:
        """Look at the socket, without a trip: a dead connection has an end of file to read, and maybe a farewell."""
        if not self.lock.acquire(blocking=False):
            return True  # the janitor is listening to it; what it hears, the next statement will
        try:
            return self._looks_alive()
        finally:
            self.lock.release()

    def close(self) -> None:
        """Close the connection, the transaction that nobody needs any more first."""
        if not self.lock.acquire(timeout=2 * janitor.LONGEST):
            self._hang_up()
            return
        try:
            if self.trip.owes_rollback:
                with suppress(psycopg.Error):
                    self._settle()
            super().close()
        finally:
            self.lock.release()

    @contextmanager
    def transaction(self, savepoint_name: str | None = None, force_rollback: bool = False) -> Iterator[Any]:  # noqa: FBT001, FBT002  psycopg's signature
        with self.lock:
            self._settle()
        with super().transaction(savepoint_name, force_rollback) as transaction:
            yield transaction


class AsyncTripConnection(Rides, psycopg.AsyncConnection[Any]):
    """Be psycopg's asyncio connection, whose transactions start with their first statement."""

    def leave(self) -> bool:
        """Roll back without waiting for anything; say whether that was possible."""
        if self._must_tell() or self.lock.locked():
            return False
        self._leave()
        return True

    async def wait(self, gen: Steps, interval: float = 0.1, timeout: float | None = None) -> Any:  # noqa: ASYNC109
        """Run one of psycopg's generators; a cancellation stops the statement on the server as well."""
        try:
            return await wait_async(gen, self.pgconn.socket, interval=interval, timeout=timeout)
        except (asyncio.CancelledError, KeyboardInterrupt):
            if self.pgconn.transaction_status == pq.TransactionStatus.ACTIVE:
                # In a task of its own: anyio cancels every await of a cancelled scope, this one included.
                await bridge.finish(self._stop(gen))
            raise

    async def _stop(self, gen: Steps) -> None:
        try:
            await self._try_cancel(timeout=janitor.LONGEST)
            await wait_async(gen, self.pgconn.socket, interval=0.1, timeout=janitor.LONGEST)
        except psycopg.errors.QueryCanceled:
            pass  # as it was asked to
        except Exception:  # noqa: BLE001  whatever went wrong: nobody knows any more what this connection is doing
            self.pgconn.finish()

    def _ask_janitor(self) -> None:
        janitor.of_loops.owe(self)

    async def pay(self) -> None:
        """Send the ROLLBACK that is owed and wait for its answer; whoever is using the connection does so himself."""
        if self.trip.owes_rollback and not self.lock.locked():
            async with self.lock:
                await self._settle()

    async def _settle(self) -> None:
        try:
            await self.wait(self._settle_gen(), timeout=janitor.LONGEST)
        except psycopg.errors._WaitTimeout:
            self.pgconn.finish()

    def looks_alive(self) -> bool:
        """Look at the socket, without a trip: a dead connection has an end of file to read, and maybe a farewell."""
        # What the janitor is waiting for must not be read under it.
        return self.lock.locked() or self._looks_alive()

    def drop(self) -> None:
        """Close the connection at once; whoever is working with it finds the line dead."""
        if self.lock.locked():
            self._hang_up()
        else:
            self._closed = True
            self.pgconn.finish()

    async def close(self) -> None:
        """Close the connection, the transaction that nobody needs any more first."""
        if self.trip.owes_rollback or self.lock.locked():
            await bridge.finish(self._close())
        else:
            await super().close()  # which waits for nothing

    async def _close(self) -> None:
        try:
            await asyncio.wait_for(self.lock.acquire(), 2 * janitor.LONGEST)
        except TimeoutError:
            self._hang_up()
            return
        try:
            with suppress(psycopg.Error):
                await self._settle()
            await super().close()
        finally:
            self.lock.release()

    @asynccontextmanager
    async def transaction(
        self,
        savepoint_name: str | None = None,
        force_rollback: bool = False,  # noqa: FBT001, FBT002
    ) -> AsyncIterator[Any]:
        async with self.lock:
            await self._settle()
        async with super().transaction(savepoint_name, force_rollback) as transaction:
            yield transaction


class TripCursor(RidingCursor, psycopg.Cursor[Any]):
    """Be psycopg's cursor over a ``TripConnection``."""


class AsyncTripCursor(RidingCursor, psycopg.AsyncCursor[Any]):
    """Be psycopg's cursor over an ``AsyncTripConnection``."""
