"""The trips table, measured: every unit of work, driver and side, through a relay that decodes each flight.

What the design promises stands in ``promised``; tests/trips asserts it and ``bench trips`` prints it beside what was
found.
"""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import psycopg
import psycopg2

from bench.work import OURS, PING, Doer, Mode, worker
from onetrip._core.flights import Flight, trips
from onetrip._engine.relay import Relay

WARM, ROUNDS = 8, 3
"""psycopg prepares a statement at its sixth use on a connection, with a trip of its own outside of a pipeline."""


@dataclass(frozen=True)
class Unit:
    """A row of the table: what to call on a worker, and its words in the table."""

    name: str
    words: str
    count: int = 0

    def do(self, doer: Doer, *, settled: bool = False) -> None:
        """Do it once."""
        doer(self.name, *([self.count] if self.count else []), settled=settled)


READ = Unit("read", "`read()` session, one ORM select")
FETCH = Unit("fetch_one", "`fetch_one(stmt)`, one statement")
EXECUTE = Unit("execute", "`execute(stmt)`, one writing statement, own transaction")
ADD = Unit("add", "`transaction()`: ORM add + commit")
ADDS = Unit("add", "`transaction()`: 50 adds + commit", 50)
CHANGE = Unit("change", "read, change, commit")
UNITS = (READ, FETCH, EXECUTE, ADD, ADDS, CHANGE)

FURTHER = "a further physical connection up to its first row"
FIRST = "first use of the engine in a process, up to its first row"

_STOCK = {READ: (3, 3), FETCH: (3, 3), EXECUTE: (3, 3), ADD: (3, 3), ADDS: (3, 3), CHANGE: (4, 4)}
_OURS = {READ: (1, 2), FETCH: (1, 1), EXECUTE: (1, 1), ADD: (2, 3), ADDS: (2, 3), CHANGE: (3, 4)}
_STATEMENTS = {READ: 1, FETCH: 1, EXECUTE: 1, ADD: 1, ADDS: 1, CHANGE: 2}
SETTLED_ALONE = {FETCH: 1, EXECUTE: 2}
"""asyncpg: what isolation, tenant, role and time-out add to one statement in a flight of its own."""


def promised(side: str, mode: Mode, unit: Unit, *, settled: bool = False) -> int:
    """Return the cell of the table, direct."""
    awkward = mode.driver == "asyncpg"
    cell = (_OURS if side == OURS else _STOCK)[unit][awkward]
    if settled and side != OURS:
        cell += 3  # isolation rides in its BEGIN; tenant, role and time-out are a trip each
    if settled and side == OURS and awkward:
        cell += SETTLED_ALONE.get(unit, 0)
    return cell + ((3 if awkward else 1) if side == PING else 0)


def statements(unit: Unit, *, settled: bool = False) -> int:
    """Return how many statements a unit runs: through a pooler, asyncpg may pay a trip for each."""
    return _STATEMENTS[unit] + (3 if settled else 0)


def promised_connecting(side: str, mode: Mode, what: str) -> int:
    """Return the trips on top of the driver's bare connect."""
    awkward = mode.driver == "asyncpg"
    if side == OURS:
        return 3 if awkward else 1
    return {FURTHER: (2, 3), FIRST: (11, 13)}[what][awkward]


class Table:
    """Measure cells of the table on one database; ``pooled`` is through a transaction pooler."""

    def __init__(self, url: str, *, pooled: bool = False) -> None:
        parts = urlsplit(url)
        assert parts.hostname
        assert parts.port
        self.relay = Relay((parts.hostname, parts.port))
        self._parts, self._pooled = parts, pooled

    @contextmanager
    def open(self) -> Iterator["Table"]:
        """Serve the relay for the time of a block."""
        with self.relay:
            yield self

    @property
    def url(self) -> str:
        """The URL through the relay."""
        credentials = self._parts.netloc.rpartition("@")[0]
        netloc = f"{credentials}@{self.relay.host}:{self.relay.port}"
        return urlunsplit(self._parts._replace(netloc=netloc))

    @contextmanager
    def doer(self, side: str, mode: Mode, **settings: Any) -> Iterator[Doer]:
        """Give a worker, closed with the block."""
        doer = Doer(worker(side, mode, self.url, pooled=self._pooled, **settings))
        try:
            yield doer
        finally:
            doer.close()

    def steady(self, doer: Doer, unit: Unit, *, settled: bool = False) -> list[list[Flight]]:
        """Return the trips of several rounds, after others have paid for connection and preparation."""
        for _ in range(WARM):
            unit.do(doer, settled=settled)
        return [self._watched(doer, unit, settled=settled) for _ in range(ROUNDS)]

    def _watched(self, doer: Doer, unit: Unit, *, settled: bool) -> list[Flight]:
        with self.relay.watched() as flights:
            unit.do(doer, settled=settled)
        return trips(flights, rollbacks=doer.waits_for_rollback)

    def connecting(self, side: str, mode: Mode, what: str, unit: Unit = READ) -> list[Flight]:
        """Return the trips of a first or a further connection up to its first row."""
        with self.doer(side, mode) as doer, ExitStack() as held:
            if what == FURTHER:
                unit.do(doer)
                held.enter_context(doer.holding())
            with self.relay.watched() as flights:
                unit.do(doer)
            found = trips(flights, rollbacks=doer.waits_for_rollback)
            return found[:-1] if found[-1].only_rolls_back else found  # the first row is there before it

    def bare(self, mode: Mode) -> list[Flight]:
        """Return the trips of the driver's own connect."""

        async def connect_async() -> None:
            if mode.driver == "asyncpg":
                await (await asyncpg.connect(self.url, ssl=False)).close()
            else:
                await (await psycopg.AsyncConnection.connect(f"{self.url}?sslmode=disable")).close()

        with self.relay.watched() as flights:
            if mode.blocking:
                driver: Any = psycopg if mode.driver == "psycopg" else psycopg2
                driver.connect(f"{self.url}?sslmode=disable").close()
            else:
                asyncio.run(connect_async())
        return trips(flights)
