"""What a server shows when it is asked for TLS: its certificate, and whether ours would trust it."""

from __future__ import annotations

import socket
import ssl
import struct
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

# https://www.postgresql.org/docs/current/protocol-message-formats.html, "SSLRequest"
_SSL_REQUEST = struct.pack("!ii", 8, 80877103)
# OpenSSL's X509_V_FLAG_PARTIAL_CHAIN and X509_V_FLAG_NO_CHECK_TIME: to read a certificate, whatever is wrong with it.
_READ_ANYWAY = 0x80000 | 0x200000
_NAME_DOES_NOT_FIT = {62, 64}  # X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH


@dataclass(frozen=True, slots=True)
class Place:
    """Name one address of a server: the host as the URL has it, and what a socket takes."""

    host: str
    family: int
    address: tuple[Any, ...]

    def connect(self, timeout: float) -> socket.socket:
        """Open a TCP connection; ``timeout`` in seconds holds for what follows on it, too."""
        opened = socket.socket(socket.AddressFamily(self.family), socket.SOCK_STREAM)
        opened.settimeout(timeout)
        try:
            opened.connect(self.address)
        except OSError:
            opened.close()
            raise
        return opened

    def __str__(self) -> str:
        host, port = self.address[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


@dataclass(frozen=True, slots=True)
class Certificate:
    """Describe a server's certificate."""

    names: tuple[str, ...]
    issuer: str
    expires: datetime


@dataclass(frozen=True, slots=True)
class Shown:
    """Say what the server showed; ``distrust`` is why ``verify-full`` would not hold, None where it would."""

    version: str
    certificate: Certificate
    distrust: str | None
    only_the_name: bool = False
    """The certificate is signed by whom we trust, but for another host."""


def offers_tls(place: Place, timeout: float) -> bool:
    """Ask for TLS and say whether the server would speak it. Raises OSError where it says nothing."""
    with closing(place.connect(timeout)) as line:
        return _ask(line)


def trusting(bundle: str) -> ssl.SSLContext:
    """Return a context that trusts a file of CA certificates. Raises OSError where it cannot be read, or is none."""
    return ssl.create_default_context(cafile=bundle)


def examine(place: Place, trusting: ssl.SSLContext, timeout: float, *, direct: bool) -> Shown:
    """Return the certificate and whether ``trusting`` vouches for it; ``direct`` is ``sslnegotiation=direct``.

    Raises OSError (ssl.SSLError is one) where no TLS connection comes about.
    """
    try:
        version, certificate, _ = _shake(place, trusting, timeout, direct=direct)
    except ssl.SSLCertVerificationError as error:
        distrust, only_the_name = error.verify_message.rstrip("."), error.verify_code in _NAME_DOES_NOT_FIT
    else:
        return Shown(version, _read(certificate), None)
    blind = _context()
    _, _, der = _shake(place, blind, timeout, direct=direct)
    pinned = _context()
    pinned.verify_mode = ssl.CERT_REQUIRED
    pinned.verify_flags = ssl.VerifyFlags(_READ_ANYWAY)
    pinned.load_verify_locations(cadata=der)
    version, certificate, _ = _shake(place, pinned, timeout, direct=direct)
    return Shown(version, _read(certificate), distrust, only_the_name)


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _ask(line: socket.socket) -> bool:
    line.sendall(_SSL_REQUEST)
    answer = line.recv(1)
    if not answer:
        raise ConnectionResetError("the server hung up when it was asked for TLS")
    if answer not in b"SNE":  # E is how a server answers that knows no TLS at all
        raise ConnectionError("what listens there does not speak PostgreSQL's protocol")
    return answer == b"S"


def _shake(place: Place, context: ssl.SSLContext, timeout: float, *, direct: bool) -> tuple[str, Any, bytes]:
    with closing(place.connect(timeout)) as line:
        if direct:
            context.set_alpn_protocols(["postgresql"])
        elif not _ask(line):
            raise ConnectionResetError("the server took back its offer of TLS")
        with context.wrap_socket(line, server_hostname=place.host) as secure:
            return secure.version() or "TLS", secure.getpeercert(), secure.getpeercert(binary_form=True) or b""


def _read(found: Any) -> Certificate:
    issuer = dict(pair for part in found.get("issuer", ()) for pair in part)
    subject = dict(pair for part in found.get("subject", ()) for pair in part)
    names = tuple(name for _, name in found.get("subjectAltName", ()))
    return Certificate(
        names=names or tuple(filter(None, [subject.get("commonName")])),
        issuer=issuer.get("commonName") or issuer.get("organizationName") or "unknown",
        expires=datetime.fromtimestamp(ssl.cert_time_to_seconds(found["notAfter"]), UTC),
    )
