"""SCRAM-SHA-256 of RFC 5802 and 7677, both sides, as PostgreSQL speaks it.

libpq leaves the user's name empty, which SCRAM libraries for Python refuse. Passwords are ASCII here.
"""

import hmac
import secrets
from base64 import b64decode, b64encode
from hashlib import pbkdf2_hmac, sha256

ITERATIONS = 4096


def _sign(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")


def _salted(password: str, salt: bytes, iterations: int) -> bytes:
    return pbkdf2_hmac("sha256", password.encode(), salt, iterations)


def _xor(one: bytes, other: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, other, strict=True))


def _encoded(data: bytes) -> str:
    return b64encode(data).decode()


def _fields(message: str) -> dict[str, str]:
    return {part[0]: part[2:] for part in message.split(",")}


class Server:
    """Check one password; without a password play the same exchange and refuse at its end.

    ``binding`` is what the TLS connection binds to, for a client that chose SCRAM-SHA-256-PLUS.
    """

    def __init__(self, password: str | None, binding: bytes) -> None:
        self._salt, self._binding = secrets.token_bytes(16), binding
        salted = _salted(password or secrets.token_hex(), self._salt, ITERATIONS)
        self._stored = sha256(_sign(salted, "Client Key")).digest()
        self._server = _sign(salted, "Server Key")

    def challenge(self, first: str) -> str:
        """Answer the client's first message."""
        flag, authorization, bare = first.split(",", 2)
        self._input = f"{flag},{authorization},".encode() + (self._binding if flag.startswith("p=") else b"")
        self._nonce = _fields(bare)["r"] + secrets.token_urlsafe(18)
        challenge = f"r={self._nonce},s={_encoded(self._salt)},i={ITERATIONS}"
        self._said = f"{bare},{challenge}"
        return challenge

    def verdict(self, final: str) -> str | None:
        """Return our own proof when the client's is right, else None."""
        claim, _, proof = final.rpartition(",p=")
        said = f"{self._said},{claim}"
        key = _xor(_sign(self._stored, said), b64decode(proof))
        if sha256(key).digest() != self._stored or _fields(claim) != {"c": _encoded(self._input), "r": self._nonce}:
            return None
        return f"v={_encoded(_sign(self._server, said))}"


class Client:
    """Prove one password, without channel binding."""

    def __init__(self, password: str) -> None:
        self._password = password
        self._bare = f"n=,r={secrets.token_urlsafe(18)}"
        self.first = f"n,,{self._bare}"

    def final(self, challenge: str) -> str:
        """Answer the server's challenge."""
        fields = _fields(challenge)
        salted = _salted(self._password, b64decode(fields["s"]), int(fields["i"]))
        key = _sign(salted, "Client Key")
        claim = f"c={_encoded(b'n,,')},r={fields['r']}"
        said = f"{self._bare},{challenge},{claim}"
        self._expected = f"v={_encoded(_sign(_sign(salted, 'Server Key'), said))}"
        return f"{claim},p={_encoded(_xor(key, _sign(sha256(key).digest(), said)))}"

    def check(self, verdict: str) -> None:
        """Raise AssertionError for a server that does not know the password itself."""
        assert verdict == self._expected, "the server's signature is wrong"
