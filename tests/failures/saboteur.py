"""A network that dies at a moment of the test's choosing: a proxy that ends the connection around one packet."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Literal

from tests.harness.proxy import CHUNK, Link, Proxy

Fate = Literal["unsent", "sent", "answered"]
FATES: tuple[Fate, ...] = ("unsent", "sent", "answered")
READY = b"Z\x00\x00\x00\x05"  # ReadyForQuery, the transaction's status after it


class Saboteur(Proxy):
    """Ask ``plan()`` about each packet of a client that is logged in: None lets it pass, a fate ends the connection.

    "unsent": before the packet reaches the server. "sent": as soon as it has, whatever it does. "answered": when the
    server's answer has left, before the client has it.
    """

    plan: Callable[[], Fate | None] = staticmethod(lambda: None)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            server_reader, server_writer = await asyncio.open_connection(*self.upstream)
        except OSError:
            writer.transport.abort()
            return
        link = Link(writer, server_writer)
        self._links.add(link)
        ready, doomed = asyncio.Event(), asyncio.Event()
        answers = asyncio.ensure_future(self._answers(server_reader, writer, ready, doomed))
        try:
            await self._requests(reader, server_writer, ready, doomed)
            if doomed.is_set():
                await answers
        except OSError:
            pass
        finally:
            answers.cancel()
            writer.transport.abort()
            server_writer.close()  # by a bare end of file: what was sent is read first
            self._links.discard(link)

    async def _requests(
        self, reader: asyncio.StreamReader, server: asyncio.StreamWriter, ready: asyncio.Event, doomed: asyncio.Event
    ) -> None:
        while data := await reader.read(CHUNK):
            fate = self.plan() if ready.is_set() else None
            if fate == "unsent":
                return
            if fate == "answered":
                doomed.set()
            server.write(data)
            await server.drain()
            if fate:
                return

    async def _answers(
        self, reader: asyncio.StreamReader, client: asyncio.StreamWriter, ready: asyncio.Event, doomed: asyncio.Event
    ) -> None:
        while data := await reader.read(CHUNK):
            if doomed.is_set():
                # asyncpg prepares without asking for ReadyForQuery.
                with suppress(TimeoutError):
                    while READY not in data and (more := await asyncio.wait_for(reader.read(CHUNK), 0.3)):
                        data = more
                return
            client.write(data)
            if data[-6:-1] == READY:
                ready.set()
        client.close()
