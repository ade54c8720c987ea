"""What Neon does to a client, before a real PostgreSQL and a real PgBouncer: a proxy, and a compute that sleeps."""

import asyncio
import secrets
import socket
import ssl
from asyncio import StreamReader, StreamWriter
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote, urlencode

import pytest

from . import door, pgwire
from . import neon_rules as rules
from .certificates import Authority
from .loop import LoopThread
from .pgbouncer import PgBouncer
from .pgwire import Refusal
from .postgres import APP, PASSWORDS, Postgres
from .process import free_port, new_folder

ENDPOINT = "ep-cool-darkness-123456"
CHUNK = 65_536
TICK = 0.01  # s


class NeonProxy:
    """Serve one endpoint: ``postgres``, and under its ``-pooler`` name the ``pgbouncer`` before it.

    ``suspend()`` and ``waking_takes`` (seconds) are scale-to-zero, ``refusing()`` is what the control plane may object
    to. ``keeps_sqlstates`` is what production is reported to do: 28P01 for a wrong password and the compute's own
    SQLSTATEs while connecting, where the public source says XX000.
    """

    def __init__(self, postgres: Postgres, pgbouncer: PgBouncer | None = None, *, endpoint: str = ENDPOINT) -> None:
        assert postgres.authority is None, "the proxy speaks plaintext to its compute"
        self.postgres, self.pgbouncer, self.endpoint = postgres, pgbouncer, endpoint
        self.host, self.port = "127.0.0.1", free_port()
        self.passwords = dict(PASSWORDS)
        self.waking_takes = 0.5
        self.keeps_sqlstates = False
        self.refusal: Refusal | None = None
        self.asleep = False
        self.accepted = 0  # connections, cancel requests included
        self.wakes = 0
        self.received = self.sent = 0  # bytes from and to clients that are logged in
        self.startups: list[dict[str, str]] = []  # what reached the compute
        self._keys: dict[bytes, tuple[int, bytes]] = {}  # ours: the upstream's port and its own
        self._secure()
        self._thread = LoopThread("neon")
        self._loop = self._thread.loop
        self._tasks: set[asyncio.Task[None]] = set()
        self._power = self._thread.call(asyncio.Lock)
        self._listener = socket.create_server((self.host, self.port), backlog=512)
        self._listener.setblocking(False)
        self._thread.call(lambda: self._keep(self._listen()))

    def _secure(self) -> None:
        authority, self.ca_file = _public_authority()
        folder = new_folder("neon")
        key, certificate = folder / "server.key", folder / "server.crt"
        authority.issue(*(f"*.{zone}" for zone in rules.ZONES)).write(key, certificate)
        self._certificate = ssl.PEM_cert_to_DER_cert(certificate.read_text())
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._context.load_cert_chain(certificate, key)
        self._context.set_alpn_protocols(["postgresql"])
        self._context.sni_callback = lambda tls, name, _: setattr(tls, "sni", name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close every connection and end the thread; the servers behind stay as they are."""
        self._thread.close()
        self._listener.close()

    # Addresses

    def url(
        self,
        database: str = APP,
        *,
        pooled: bool = False,
        user: str = APP,
        password: str | None = None,
        host: str | None = None,
        **query: Any,
    ) -> str:
        """Return the URL as Neon's console writes it, with our port; ``query`` adds parameters, None takes one out.

        Needs ``resolve_names()``: the host is one of Neon's.
        """
        password = self.passwords.get(user, "") if password is None else password
        query = {"sslmode": "require", "channel_binding": "require"} | query
        if str(query["sslmode"]).startswith("verify-"):
            query.setdefault("sslrootcert", self.ca_file)
        user, password, database = (quote(part, safe="") for part in (user, password, database))
        url = f"postgresql://{user}:{password}@{host or self.hostname(pooled=pooled)}:{self.port}/{database}"
        kept = {name: value for name, value in query.items() if value is not None}
        return f"{url}?{urlencode(kept, quote_via=quote)}" if kept else url

    def hostname(self, *, pooled: bool = False, zone: str = rules.ZONES[0]) -> str:
        """Return the host of the direct or of the pooled connection."""
        return f"{self.endpoint}{'-pooler' if pooled else ''}.{zone}"

    # What may happen

    def suspend(self) -> None:
        """Put the compute to sleep as Neon does: PgBouncer is killed, then PostgreSQL gets a fast shutdown."""
        self._thread.run(self._suspend(), timeout=40)

    @contextmanager
    def refusing(self, text: str, sqlstate: str = "XX000", **how: Any) -> Iterator[None]:
        """Refuse every connection for the time of a block; ``how`` is Refusal's severity and ``before_login``."""
        self.refusal = Refusal(text, sqlstate, **how)
        try:
            yield
        finally:
            self.refusal = None

    @property
    def open_links(self) -> int:
        """Return how many clients are logged in."""
        return len(self._keys)

    # Everything below runs in the proxy's thread. The compute:

    async def _suspend(self) -> None:
        async with self._power:
            self.asleep = True
            if self.pgbouncer:
                await asyncio.to_thread(self.pgbouncer.kill)
            await asyncio.to_thread(self.postgres.stop, "fast")

    async def _wake(self) -> None:
        async with self._power:
            if self.asleep:
                self.wakes += 1
                began = self._loop.time()
                # Looked at again and again: a test may change its mind meanwhile.
                while self._loop.time() < began + self.waking_takes:  # noqa: ASYNC110
                    await asyncio.sleep(TICK)
                await asyncio.to_thread(self.postgres.start)
                if self.pgbouncer:
                    await asyncio.to_thread(self.pgbouncer.start)
                self.asleep = False

    # One connection, in the order of its life:

    async def _listen(self) -> None:
        while True:
            client, _ = await self._loop.sock_accept(self._listener)
            self.accepted += 1
            self._keep(self._serve(client))

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, client: socket.socket) -> None:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with client, suppress(OSError, EOFError):
            if packet := await door.before_tls(client):
                await self._answer_plaintext(client, packet)
                return
            reader, writer = await door.encrypt(client, self._context)
            try:
                await self._converse(reader, writer)
            except Refusal as refusal:
                writer.write(refusal.message())
            finally:
                await door.hang_up(writer)

    async def _answer_plaintext(self, client: socket.socket, packet: bytes) -> None:
        if int.from_bytes(packet[:4]) == pgwire.CANCEL_REQUEST:
            await self._cancel(packet[4:])
        else:
            await self._loop.sock_sendall(client, Refusal(rules.INSECURE).message())

    async def _converse(self, reader: StreamReader, writer: StreamWriter) -> None:
        packet = await pgwire.read_packet(reader)
        if int.from_bytes(packet[:4]) == pgwire.CANCEL_REQUEST:
            await self._cancel(packet[4:])
            return
        writer.write(pgwire.talk_down(packet))
        parameters = pgwire.startup_parameters(packet)
        endpoint = await self._admitted(reader, writer, parameters)
        self._refuse(before_login=False)
        await self._wake()
        server_reader, server_writer = await self._compute(endpoint)
        key = pgwire.number(secrets.randbelow(2**31)) + secrets.token_bytes(4)
        try:
            await self._introduce(parameters, key, server_reader, server_writer, writer)
            await self._pass_on((reader, server_writer), (server_reader, writer))
        finally:
            self._keys.pop(key, None)
            server_writer.close()

    async def _admitted(self, reader: StreamReader, writer: StreamWriter, parameters: dict[str, str]) -> str:
        """Find the endpoint and check the password for it; nobody learns which of the two was wrong."""
        user = parameters.get("user")
        if not user:
            raise Refusal(rules.NO_USER)
        endpoint = rules.endpoint_of(writer.get_extra_info("ssl_object").sni, parameters.get("options", ""))
        self._refuse(before_login=True)
        if endpoint is None:
            writer.write(pgwire.authentication(pgwire.CLEARTEXT))
            _, answer = await pgwire.read_message(reader)
            endpoint, given = rules.endpoint_and_password(answer.rstrip(b"\0").decode())
            admitted = given == self._password(endpoint, user)
        else:
            admitted = await pgwire.checked(reader, writer, self._password(endpoint, user), self._certificate)
        if not admitted:
            raise Refusal(rules.WRONG_PASSWORD.format(user), "28P01" if self.keeps_sqlstates else "XX000")
        writer.write(pgwire.authentication(pgwire.OK))
        return endpoint

    def _password(self, endpoint: str, user: str) -> str | None:
        known = {self.endpoint, f"{self.endpoint}-pooler"} if self.pgbouncer else {self.endpoint}
        return self.passwords.get(user) if endpoint in known else None

    def _refuse(self, *, before_login: bool) -> None:
        if self.refusal and self.refusal.before_login is before_login:
            raise self.refusal

    async def _compute(self, endpoint: str) -> tuple[StreamReader, StreamWriter]:
        server = self.pgbouncer if endpoint.endswith("-pooler") else self.postgres
        assert server
        try:
            return await asyncio.open_connection(server.host, server.port)
        except OSError:
            raise Refusal(rules.NO_COMPUTE) from None

    async def _introduce(
        self, parameters: dict[str, str], key: bytes, reader: StreamReader, server: StreamWriter, client: StreamWriter
    ) -> None:
        """Log in at the compute, and tell the client what it says up to ReadyForQuery; the key is ours."""
        self.startups.append(rules.forwarded(parameters))
        server.write(pgwire.startup(self.startups[-1]))
        try:
            await pgwire.log_in(reader, server, self.passwords[parameters["user"]])
            kind = b""
            while kind != pgwire.READY:
                kind, body = await pgwire.read_message(reader)
                if kind == pgwire.ERROR:
                    raise Refusal.read(body)
                if kind == pgwire.KEY:
                    self._keys[key] = server.get_extra_info("peername")[1], body
                    body = key
                client.write(pgwire.message(kind, body))
        except Refusal as refusal:
            raise rules.reworded(refusal, keeps_sqlstate=self.keeps_sqlstates) from None
        except (EOFError, OSError):
            raise Refusal(rules.NO_COMPUTE) from None

    async def _pass_on(
        self, requests: tuple[StreamReader, StreamWriter], answers: tuple[StreamReader, StreamWriter]
    ) -> None:
        """Copy bytes both ways until either side ends."""
        pumps = {
            self._loop.create_task(self._pump(*requests, "received")),
            self._loop.create_task(self._pump(*answers, "sent")),
        }
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()

    async def _pump(self, reader: StreamReader, writer: StreamWriter, counter: str) -> None:
        with suppress(OSError):
            while data := await reader.read(CHUNK):
                setattr(self, counter, getattr(self, counter) + len(data))
                writer.write(data)
                await writer.drain()

    async def _cancel(self, key: bytes) -> None:
        """Pass a cancel request on to whom our key stands for; a client gets no answer, whatever comes of it."""
        if key in self._keys:
            port, theirs = self._keys[key]
            reader, writer = await asyncio.open_connection(self.host, port)
            writer.write(pgwire.message(b"", pgwire.number(pgwire.CANCEL_REQUEST) + theirs))
            await reader.read()
            writer.close()


@cache
def _public_authority() -> tuple[Authority, Path]:
    """Sign for every proxy of the run, as one public authority signs for all of Neon."""
    authority, file = Authority("a public authority"), new_folder("authority") / "ca.crt"
    file.write_bytes(authority.certificate)
    return authority, file


def resolve_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the hosts below neon.tech lead to this machine, for every driver, and the machine know who signs for them.

    psycopg2 leaves names to libpq, which would ask the C library: it reads PGHOSTADDR.
    """
    resolve = socket.getaddrinfo

    def getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
        return resolve("127.0.0.1" if str(host).endswith(".neon.tech") else host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    monkeypatch.setenv("PGHOSTADDR", "127.0.0.1")
    monkeypatch.setenv("PGSSLROOTCERT", str(_public_authority()[1]))
