"""From an accepted socket to a TLS stream, as PostgreSQL's clients go there: asking first, or directly."""

import asyncio
import socket
import ssl
from asyncio import StreamReader, StreamWriter
from contextlib import suppress

from .pgwire import GSS_REQUEST, SSL_REQUEST

TLS_HANDSHAKE = b"\x16"
GOODBYE = 0.2  # s to answer the end of TLS; a client that does not read its socket never would


async def before_tls(client: socket.socket) -> bytes:
    """Negotiate up to where TLS begins; return what the client said instead in plaintext, empty when it did not."""
    loop = asyncio.get_running_loop()
    while await _peek(client) != TLS_HANDSHAKE:  # sslnegotiation=direct begins with it
        length = int.from_bytes(await _exactly(client, 4))
        packet = await _exactly(client, length - 4)
        code = int.from_bytes(packet[:4])
        if code not in {SSL_REQUEST, GSS_REQUEST}:
            return packet
        await loop.sock_sendall(client, b"S" if code == SSL_REQUEST else b"N")
    return b""


async def encrypt(client: socket.socket, context: ssl.SSLContext) -> tuple[StreamReader, StreamWriter]:
    """Shake hands as the TLS server; from here on the socket is the stream's."""
    loop = asyncio.get_running_loop()
    reader = StreamReader(loop=loop)
    protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
    transport, _ = await loop.connect_accepted_socket(
        lambda: protocol, client, ssl=context, ssl_shutdown_timeout=GOODBYE
    )
    return reader, StreamWriter(transport, protocol, reader, loop)


async def hang_up(writer: StreamWriter) -> None:
    """Send what is written, then the end of the stream."""
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


async def _peek(client: socket.socket) -> bytes:
    """Wait for the first byte and leave it where it is: TLS has to begin with it."""
    loop = asyncio.get_running_loop()
    readable = loop.create_future()
    loop.add_reader(client, lambda: readable.done() or readable.set_result(None))
    try:
        await readable
    finally:
        loop.remove_reader(client)
    return client.recv(1, socket.MSG_PEEK)


async def _exactly(client: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = await asyncio.get_running_loop().sock_recv(client, size - len(data))
        if not more:
            raise EOFError
        data += more
    return data
