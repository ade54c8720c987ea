"""A loopback relay before a database: it writes down each flight, and may put a distance in between.

It serves in a thread with an event loop of its own, so a client that waits must not hold the interpreter's lock; the
drivers' own calls do not. psycopg's bare ``pgconn.get_result()`` does, and would wait for ever.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from selectors import BaseSelector
from typing import TYPE_CHECKING, Any, Self

from onetrip._core.endpoint import DEFAULT_PORT, is_local
from onetrip._core.flights import Conversation, Flight
from onetrip._core.profile import connect_profile
from onetrip._core.url import Host
from onetrip._engine.tls import ca_bundle

if TYPE_CHECKING:
    from onetrip._core.url import DatabaseUrl

NEARBY = 0.0005
"""Seconds that bytes travel each way unless said otherwise: what a client sends without waiting is underway before an
answer can be there, so that it is never taken for one more trip."""


class Relay:
    """Stand before a server; clients connect to ``host`` and ``port`` instead.

    ``server`` is a host and port, or the path of a Unix socket. ``delay`` is in seconds, for each direction; with
    ``decodes=False`` nothing is written down, for a relay that only puts a distance in between.
    """

    host = "127.0.0.1"

    def __init__(
        self,
        server: tuple[str, int] | str,
        *,
        delay: float = NEARBY,
        decodes: bool = True,
        selector: BaseSelector | None = None,
    ) -> None:
        self._server = server
        self._decodes = decodes
        self.delay = delay
        self.flights: list[Flight] = []
        self._links: set[_Link] = set()
        self._numbers = 0
        self._loop = asyncio.SelectorEventLoop(selector)
        self._thread = threading.Thread(target=self._loop.run_forever, name="onetrip-relay", daemon=True)
        self._listener: asyncio.Server | None = None

    @classmethod
    def before(cls, url: DatabaseUrl, **options: Any) -> Self:
        """Stand before the first server that a URL names."""
        host = url.hosts[0] if url.hosts else Host("127.0.0.1")
        port = host.port or DEFAULT_PORT
        if host.is_socket:
            return cls(f"{host.name}/.s.PGSQL.{port}", **options)
        return cls((url.params.get("hostaddr", host.name), port), **options)

    def through(self, url: DatabaseUrl) -> DatabaseUrl:
        """Return the URL with the relay in between, as strict about TLS as the URL was.

        A remote name, and whatever TLS checks, stays the name that is dialled, at our address. Only libpq can be told
        the two apart: for asyncpg ``Settings`` refuses such a URL.
        """
        host = url.hosts[0] if url.hosts else Host(self.host)
        tls = connect_profile(url, "psycopg", ca_bundle=ca_bundle).tls
        strict = url.with_params(hostaddr=None, sslmode=tls.mode, sslrootcert=tls.rootcert)
        if tls.verifies or not (is_local(url) or host.is_address):
            return replace(strict, hosts=(Host(host.name, self.port),)).with_params(hostaddr=self.host)
        return replace(strict, hosts=(Host(self.host, self.port),))

    def __enter__(self) -> Self:
        self._thread.start()
        self._run(self._listen())
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def port(self) -> int:
        """Return the port to connect to."""
        assert self._listener
        return int(self._listener.sockets[0].getsockname()[1])

    @contextmanager
    def watched(self) -> Iterator[list[Flight]]:
        """Give the flights of a block; the list is complete when the block has ended."""
        flights: list[Flight] = []
        begin = len(self.flights)
        try:
            yield flights
        finally:
            flights += self.flights[begin:]

    def _run(self, work: Any) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _listen(self) -> None:
        self._listener = await self._loop.create_server(self._accept, self.host, 0)

    async def _close(self) -> None:
        assert self._listener
        self._listener.close()
        for link in list(self._links):
            link.abort()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await asyncio.sleep(0)  # aborted transports close at the loop's next turn

    def _accept(self) -> asyncio.Protocol:
        self._numbers += 1
        conversation = Conversation(self._numbers, self.flights.append) if self._decodes else None
        link = _Link(self._loop, self._server, lambda: self.delay, conversation)
        self._links.add(link)
        link.ended = lambda: self._links.discard(link)
        return link.client


class _Link:
    """One client's connection and its other half."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        server: tuple[str, int] | str,
        delay: Callable[[], float],
        conversation: Conversation | None,
    ) -> None:
        self._loop, self._address, self._conversation = loop, server, conversation
        self.client, self.server = _End(), _End()
        self.client.other, self.server.other = self.server, self.client
        self._to_server = _Lane(loop, delay, self.server.write)
        self._to_client = _Lane(loop, delay, self._deliver)
        self.client.opened = self._opened
        self.client.received, self.server.received = self._sent, self._to_client.put
        self.client.lost = self.server.lost = self.abort
        self.ended: Callable[[], object] = _nothing
        self._task: asyncio.Task[None] | None = None

    def _sent(self, data: bytes) -> None:
        if data and self._conversation:
            self._conversation.sent(data)
        self._to_server.put(data)

    def _deliver(self, data: bytes) -> None:
        if data and self._conversation:
            self._conversation.answered(data)
        self.client.write(data)

    def _opened(self) -> None:
        self.client.pause()
        self._task = self._loop.create_task(self._connect())

    async def _connect(self) -> None:
        try:
            if isinstance(self._address, str):
                await self._loop.create_unix_connection(lambda: self.server, self._address)
            else:
                await self._loop.create_connection(lambda: self.server, *self._address)
        except OSError:  # the server is not there: neither are we
            self.abort()
            return
        if self.client.transport is None:
            self.abort()
        self.client.resume()

    def abort(self) -> None:
        """End both halves."""
        for end in (self.client, self.server):
            end.abort()
        self.ended()


def _nothing(*_: object) -> None:
    return None


class _End(asyncio.Protocol):
    """One of the two sockets of a link; empty bytes stand for the end of the stream."""

    def __init__(self) -> None:
        self.opened: Callable[[], object] = _nothing
        self.received: Callable[[bytes], object] = _nothing
        self.lost: Callable[[], object] = _nothing
        self.other: _End
        self.transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.opened()

    def data_received(self, data: bytes) -> None:
        self.received(data)

    def eof_received(self) -> bool:
        self.received(b"")
        return True  # the other half decides when it is over

    def connection_lost(self, _error: Exception | None) -> None:
        self.transport = None
        self.lost()

    def pause_writing(self) -> None:
        self.other.pause()

    def resume_writing(self) -> None:
        self.other.resume()

    def pause(self) -> None:
        if self.transport:
            self.transport.pause_reading()

    def resume(self) -> None:
        if self.transport and not self.transport.is_closing():
            self.transport.resume_reading()

    def write(self, data: bytes) -> None:
        if self.transport and not self.transport.is_closing():
            if data:
                self.transport.write(data)
            else:
                self.transport.close()

    def abort(self) -> None:
        if self.transport:
            self.transport.abort()


class _Lane:
    """One direction: everything travels for ``delay`` and keeps its order; nothing waits for what is before it."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, delay: Callable[[], float], deliver: Callable[[bytes], object]
    ) -> None:
        self._loop, self._delay, self._deliver = loop, delay, deliver
        self._under_way: deque[tuple[float, bytes]] = deque()

    def put(self, data: bytes) -> None:
        delay = self._delay()
        if not delay and not self._under_way:
            self._deliver(data)
            return
        due = self._loop.time() + delay
        self._under_way.append((due, data))
        if len(self._under_way) == 1:
            self._loop.call_at(due, self._arrive)

    def _arrive(self) -> None:
        while self._under_way and self._under_way[0][0] <= self._loop.time():
            self._deliver(self._under_way.popleft()[1])
        if self._under_way:
            self._loop.call_at(self._under_way[0][0], self._arrive)
