"""A network that can fail: a loopback TCP proxy that passes bytes through untouched, TLS included."""

import asyncio
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from typing import Self
from urllib.parse import urlsplit, urlunsplit

from .loop import LoopThread
from .process import free_port

CHUNK = 65_536
Transit = asyncio.Queue[tuple[float, bytes]]  # when to deliver what; empty bytes are the end
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close with RST instead of FIN


class Link:
    """One client's connection and its other half; each direction can be silenced on its own."""

    def __init__(self, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self.client, self.server = client, server
        self.requests = self.answers = True

    def close(self, *, reset: bool) -> None:
        """End both halves, by RST or by FIN."""
        for writer in (self.client, self.server):
            with suppress(OSError):
                if reset:
                    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            writer.transport.abort()


class Proxy:
    """Stand between a client and a server, in a thread with an event loop of its own; call every method from anywhere.

    ``delay`` is the time in seconds that each byte travels in each direction.
    """

    def __init__(self, port: int, host: str = "127.0.0.1", *, delay: float = 0.0) -> None:
        self.upstream = host, port
        self.host, self.port = "127.0.0.1", free_port()
        self.delay = delay
        self.accepted = 0
        self._links: set[Link] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._listener: asyncio.Server | None = None
        self._thread = LoopThread("proxy")
        self._loop = self._thread.loop
        self._hearing = self._thread.call(self._new_event)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def url(self, url: str) -> str:
        """Return ``url`` with the proxy's port: the same server, over this network."""
        parts = urlsplit(url)
        credentials = parts.netloc.rpartition("@")[0]
        return urlunsplit(parts._replace(netloc=f"{credentials}@{self.host}:{self.port}"))

    @property
    def open_links(self) -> int:
        """Return how many connections are open through the proxy."""
        return len(self._links)

    def start(self) -> None:
        """Accept connections, and serve those that waited while deaf."""
        self._thread.run(self._listen())

    def stop(self) -> None:
        """Refuse new connections and reset the open ones, like a server that is gone."""
        self._thread.run(self._unlisten())
        self.cut()

    def deaf(self) -> None:
        """Accept new connections and stay silent until hear(): a compute that wakes up, a firewall that swallows."""
        self._thread.call(self._hearing.clear)

    def hear(self) -> None:
        """Serve again, those who wait first."""
        self._thread.call(self._hearing.set)

    def cut(self, *, reset: bool = True) -> None:
        """Close the open connections, with RST, or with a bare end of file; new ones are served."""
        self._thread.call(lambda: [link.close(reset=reset) for link in list(self._links)])

    def drop(self, *, requests: bool = True, answers: bool = True) -> None:
        """Silence the open connections for ever without closing them; new ones are served.

        ``requests=False`` still delivers what the client sends and loses only the answers.
        """
        self._thread.call(lambda: [self._silence(link, requests=requests, answers=answers) for link in self._links])

    def close(self) -> None:
        """Stop and end the thread."""
        self.stop()
        self._thread.close()

    # Everything below runs in the proxy's thread.

    @staticmethod
    def _silence(link: Link, *, requests: bool, answers: bool) -> None:
        link.requests = link.requests and not requests
        link.answers = link.answers and not answers

    @staticmethod
    def _new_event() -> asyncio.Event:
        event = asyncio.Event()
        event.set()
        return event

    async def _listen(self) -> None:
        self._hearing.set()
        if self._listener is None:
            self._listener = await asyncio.start_server(self._accept, self.host, self.port)

    async def _unlisten(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        task = self._loop.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._hearing.wait()
            server_reader, server_writer = await asyncio.open_connection(*self.upstream)
        except OSError:  # the server is not there: neither are we
            writer.transport.abort()
            return
        except asyncio.CancelledError:
            writer.transport.abort()
            raise
        link = Link(writer, server_writer)
        self._links.add(link)
        to_server: Transit = asyncio.Queue()
        to_client: Transit = asyncio.Queue()
        try:
            async with asyncio.TaskGroup() as pumps:
                pumps.create_task(self._read(reader, to_server))
                pumps.create_task(self._write(to_server, server_writer, lambda: link.requests))
                pumps.create_task(self._read(server_reader, to_client))
                pumps.create_task(self._write(to_client, writer, lambda: link.answers))
        finally:
            self._links.discard(link)
            link.close(reset=False)

    async def _read(self, reader: asyncio.StreamReader, transit: Transit) -> None:
        with suppress(OSError):
            while data := await reader.read(CHUNK):
                transit.put_nowait((self._loop.time() + self.delay, data))
        transit.put_nowait((self._loop.time() + self.delay, b""))

    async def _write(self, transit: Transit, writer: asyncio.StreamWriter, heard: Callable[[], bool]) -> None:
        with suppress(OSError):
            while data := await self._next(transit):
                if heard():
                    writer.write(data)
                    await writer.drain()
        if heard():
            writer.close()

    async def _next(self, transit: Transit) -> bytes:
        due, data = await transit.get()
        if (early := due - self._loop.time()) > 0:
            await asyncio.sleep(early)
        return data
