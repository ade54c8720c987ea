"""How often a client waits for its server, told from the bytes that both send: flight by flight.

A flight is what a client sends before it waits. What it sends while answers are still due (a pipeline) belongs to the
flight under way; what it sends after it has everything it asked for begins the next one. Over TLS nothing can be read:
there a flight is what goes out between two answers.

https://www.postgresql.org/docs/current/protocol-flow.html
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

_SSL, _GSS, _CANCEL = 80877103, 80877104, 80877102
_TLS_HANDSHAKE = 0x16

_NAMES = {
    "Q": "Query",
    "P": "Parse",
    "B": "Bind",
    "D": "Describe",
    "E": "Execute",
    "C": "Close",
    "H": "Flush",
    "S": "Sync",
    "F": "FunctionCall",
    "d": "CopyData",
    "c": "CopyDone",
    "f": "CopyFail",
    "p": "password",
    "X": "Terminate",
}
# What ends the wait for each message: the first letters of the answers, "Z" is ReadyForQuery.
_ANSWERS = {"P": "1", "B": "2", "D": "Tn", "E": "CIs", "C": "3", "S": "Z", "Q": "Z", "F": "Z"}
_DEMANDS = frozenset("QSHFpcf")
_NO_REPLY_TO_AUTHENTICATION = {0, 12}  # AuthenticationOk, AuthenticationSASLFinal

_LATE = re.compile(r"\s*ROLLBACK\s*;?\s*", re.IGNORECASE)
_SPACE = re.compile(r"\s+")
_SHOWN = 100


@dataclass
class Flight:
    """What a client sent at one time, and whether it waits for the answer."""

    connection: int
    connecting: bool
    """Sent before the server was ready for queries: start-up, TLS, authentication."""
    messages: list[str] = field(default_factory=list)
    statements: list[str] = field(default_factory=list)
    awaited: bool = False

    @property
    def only_rolls_back(self) -> bool:
        """Say whether it holds a ROLLBACK and nothing else."""
        return bool(self.statements) and all(_LATE.fullmatch(statement) for statement in self.statements)

    def __str__(self) -> str:
        return f"[{self.connection}] {' '.join(self.messages)}"


class Conversation:
    """Follow one connection: ``sent`` is what arrives from the client, ``answered`` what it has been handed.

    ``began`` is called with each new flight.
    """

    def __init__(self, connection: int, began: Callable[[Flight], None]) -> None:
        self._connection = connection
        self._began = began
        self._flight: Flight | None = None
        self._due: deque[str] = deque()
        self._spoken = True  # something came that the client waits for, though more may be due
        self._failed = False  # the server ignores everything up to the next Sync
        self._encrypted = self._connected = self._asked = False
        self._statements: dict[str, str] = {}
        self._portals: dict[str, str] = {}
        self._from_client, self._from_server = bytearray(), bytearray()
        self._opening = True

    def sent(self, data: bytes) -> None:
        """Take what the client sent."""
        if self._encrypted or (self._opening and data[0] == _TLS_HANDSHAKE):
            self._encrypted = True
            if self._spoken:
                self._begin()
                self._note("encrypted")
            return
        self._from_client += data
        for kind, body in self._client_messages():
            if self._spoken:
                self._begin()
            self._client_message(kind, body)

    def answered(self, data: bytes) -> None:
        """Take what the client has been handed."""
        if self._asked:  # a single letter answers a request to encrypt
            self._asked = False
            self._spoken = True
            self._encrypted = data[:1] in b"SG"
            data = data[1:]
        if self._encrypted:
            self._spoken = True
            if self._flight:
                self._flight.awaited = True
            return
        self._from_server += data
        for kind, body in _typed(self._from_server):
            self._server_message(kind, body)

    def _begin(self) -> None:
        self._spoken = False
        self._flight = Flight(self._connection, connecting=not (self._connected or self._encrypted))
        self._began(self._flight)

    def _note(self, message: str, *, awaited: bool = False) -> None:
        assert self._flight
        self._flight.messages.append(message)
        self._flight.awaited = self._flight.awaited or awaited

    def _client_messages(self) -> Iterator[tuple[str, bytes]]:
        buffer = self._from_client
        while self._opening and len(buffer) >= 8:
            length = int.from_bytes(buffer[:4])
            if len(buffer) < length:
                return
            body = bytes(buffer[4:length])
            del buffer[:length]
            self._opening = int.from_bytes(body[:4]) in {_SSL, _GSS}
            yield "", body
        if not self._opening:
            yield from _typed(buffer)

    def _client_message(self, kind: str, body: bytes) -> None:
        if not kind:
            self._open(int.from_bytes(body[:4]))
            return
        if kind == "d" and self._flight and self._flight.messages[-1:] == ["CopyData"]:
            return
        statement = self._statement(kind, body)
        name = _NAMES.get(kind, kind)
        self._note(f"{name}({_shortened(statement)})" if kind in "QP" else name, awaited=kind in _DEMANDS)
        if kind in "QE":
            assert self._flight
            self._flight.statements.append(statement)
        if self._failed and kind != "S":
            return
        self._failed = False
        if answer := _ANSWERS.get(kind):
            self._due.append(answer)

    def _open(self, code: int) -> None:
        if code == _CANCEL:
            self._note("cancel")
            return
        self._asked = code in {_SSL, _GSS}
        self._note({_SSL: "SSLRequest", _GSS: "GSSENCRequest"}.get(code, "Startup"), awaited=True)
        if not self._asked:
            self._due.append("Z")

    def _statement(self, kind: str, body: bytes) -> str:
        """Return the SQL that a message is about, as far as it is known."""
        words = [word.decode(errors="replace") for word in body.split(b"\0", 2)]
        if kind == "Q":
            return words[0]
        if kind == "P":
            self._statements[words[0]] = words[1]
            return words[1]
        if kind == "B":
            self._portals[words[0]] = self._statements.get(words[1], "?")
        return self._portals.get(words[0], "?") if kind == "E" else ""

    def _server_message(self, kind: str, body: bytes) -> None:
        if kind == "E":
            while self._due and self._due[0] != "Z":
                self._due.popleft()
            self._failed = not self._due
        elif kind == "Z":
            self._connected = True
            while self._due and self._due.popleft() != "Z":
                pass
        elif self._due and kind in self._due[0]:
            self._due.popleft()
        if kind in "GW" or (kind == "R" and int.from_bytes(body[:4]) not in _NO_REPLY_TO_AUTHENTICATION):
            self._spoken = True  # COPY FROM and authentication: the client's turn in the middle of an answer
        if not self._due and self._flight and self._flight.awaited and kind not in "NSA":
            self._spoken = True


def _typed(buffer: bytearray) -> Iterator[tuple[str, bytes]]:
    """Take whole messages off the buffer's front."""
    while len(buffer) >= 5:
        length = int.from_bytes(buffer[1:5])
        if len(buffer) <= length:
            return
        kind, body = chr(buffer[0]), bytes(buffer[5 : length + 1])
        del buffer[: length + 1]
        yield kind, body


def _shortened(statement: str) -> str:
    text = _SPACE.sub(" ", statement).strip()
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def trips(flights: list[Flight], *, rollbacks: bool = True) -> list[Flight]:
    """Return the flights that the caller waited for; ``rollbacks=False`` where a lone ROLLBACK leaves off its path."""
    return [flight for flight in flights if flight.awaited and (rollbacks or not flight.only_rolls_back)]
