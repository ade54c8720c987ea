"""PostgreSQL's protocol as far as a proxy takes part in it: start-up, SCRAM, errors.

https://www.postgresql.org/docs/current/protocol-message-formats.html
"""

from asyncio import StreamReader, StreamWriter
from collections.abc import Mapping
from hashlib import sha256
from typing import Self

from . import scram

SSL_REQUEST, GSS_REQUEST, CANCEL_REQUEST = 80877103, 80877104, 80877102
VERSION_3_0 = 196_608
ERROR, AUTHENTICATION, KEY, READY, NEGOTIATE = b"E", b"R", b"K", b"Z", b"v"
OK, CLEARTEXT, SASL, SASL_CONTINUE, SASL_FINAL = 0, 3, 10, 11, 12


class Refusal(Exception):
    """Carry an error for the client: severity, SQLSTATE and text, and none of the other fields, as Neon's proxy does.

    ``before_login`` refuses before the password is asked for.
    """

    def __init__(
        self, text: str, sqlstate: str = "XX000", *, severity: str = "ERROR", before_login: bool = False
    ) -> None:
        super().__init__(text)
        self.text, self.sqlstate, self.severity, self.before_login = text, sqlstate, severity, before_login

    @classmethod
    def read(cls, body: bytes) -> Self:
        """Take an ErrorResponse apart."""
        fields = {field[:1]: field[1:].decode() for field in body.split(b"\0") if field}
        return cls(fields[b"M"], fields[b"C"], severity=fields[b"S"])

    def message(self) -> bytes:
        """Return the ErrorResponse."""
        fields = (b"S", self.severity), (b"C", self.sqlstate), (b"M", self.text)
        return message(ERROR, b"".join(code + value.encode() + b"\0" for code, value in fields) + b"\0")


def number(value: int) -> bytes:
    """Return an Int32."""
    return value.to_bytes(4)


def message(kind: bytes, body: bytes = b"") -> bytes:
    """Return a typed message; without ``kind`` one that opens a connection."""
    return kind + number(len(body) + 4) + body


async def read_message(reader: StreamReader) -> tuple[bytes, bytes]:
    """Return the next message's type and body."""
    kind = await reader.readexactly(1)
    return kind, await read_packet(reader)


async def read_packet(reader: StreamReader) -> bytes:
    """Return the body of a message that has no type."""
    return await reader.readexactly(int.from_bytes(await reader.readexactly(4)) - 4)


def authentication(code: int, data: bytes = b"") -> bytes:
    """Return one of the authentication messages."""
    return message(AUTHENTICATION, number(code) + data)


def startup(parameters: Mapping[str, str]) -> bytes:
    """Return a StartupMessage."""
    pairs = "".join(f"{name}\0{value}\0" for name, value in parameters.items())
    return message(b"", number(VERSION_3_0) + pairs.encode() + b"\0")


def startup_parameters(packet: bytes) -> dict[str, str]:
    """Take a StartupMessage apart."""
    parts = packet[4:].decode().split("\0")
    return {name: value for name, value in zip(parts[::2], parts[1::2], strict=False) if name}


def talk_down(packet: bytes) -> bytes:
    """Return the NegotiateProtocolVersion for a client that asks for more than 3.0; nothing for the others."""
    unknown = [name for name in startup_parameters(packet) if name.startswith("_pq_.")]
    if int.from_bytes(packet[:4]) == VERSION_3_0 and not unknown:
        return b""
    names = "".join(f"{name}\0" for name in unknown).encode()
    return message(NEGOTIATE, number(VERSION_3_0) + number(len(unknown)) + names)


async def checked(reader: StreamReader, writer: StreamWriter, password: str | None, certificate: bytes) -> bool:
    """Say whether the client proves the password by SCRAM; ``certificate`` (DER) is what it may bind to."""
    writer.write(authentication(SASL, b"SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0"))
    server = scram.Server(password, sha256(certificate).digest())  # tls-server-end-point
    _, answer = await read_message(reader)
    first = answer.partition(b"\0")[2][4:]
    writer.write(authentication(SASL_CONTINUE, server.challenge(first.decode()).encode()))
    _, final = await read_message(reader)
    verdict = server.verdict(final.decode())
    if verdict:
        writer.write(authentication(SASL_FINAL, verdict.encode()))
    return verdict is not None


async def log_in(reader: StreamReader, writer: StreamWriter, password: str) -> None:
    """Answer a server's SCRAM as a client, up to its AuthenticationOk; raise the server's Refusal."""
    client = scram.Client(password)
    while True:
        kind, body = await read_message(reader)
        if kind == ERROR:
            raise Refusal.read(body)
        assert kind == AUTHENTICATION, f"{kind!r} during authentication"
        code, data = int.from_bytes(body[:4]), body[4:].decode()
        if code == OK:
            return
        if code == SASL:
            first = client.first.encode()
            writer.write(message(b"p", b"SCRAM-SHA-256\0" + number(len(first)) + first))
        elif code == SASL_CONTINUE:
            writer.write(message(b"p", client.final(data).encode()))
        elif code == SASL_FINAL:
            client.check(data)
        else:
            raise AssertionError(f"authentication by method {code}, not by SCRAM")
