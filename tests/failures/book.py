"""Who wrote what, kept on both sides: every write carries a number of its own, and the database is asked in the end."""

from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

from sqlalchemy import BigInteger, bindparam, select, text

from onetrip import errors
from tests.contract.face import Face
from tests.harness.postgres import APP, Postgres

TABLE = f"CREATE TABLE written (n bigint NOT NULL, half int NOT NULL); ALTER TABLE written OWNER TO {APP}"
INSERT = text("INSERT INTO written (n, half) VALUES (:n, :half)")
BOTH = text("INSERT INTO written (n, half) SELECT :n, half FROM generate_series(1, 2) AS half")
ECHO = text("SELECT :n + 0")
HARMLESS = select(bindparam("n", type_=BigInteger()))
"""An echo that cannot write, as the statement itself shows: it needs no transaction."""

Request = Callable[[Face, int], Awaitable[None]]


class Book:
    """Keep what the client was told about each number."""

    def __init__(self) -> None:
        self.numbers = count(1)
        self.acknowledged: set[int] = set()
        self.unknown: set[int] = set()
        self.failed: dict[int, BaseException] = {}

    @asynccontextmanager
    async def entry(self) -> Any:
        """Give a number, and note how it went: there, perhaps there (CommitUnknown), or not there (any other error)."""
        n = next(self.numbers)
        try:
            yield n
        except errors.CommitUnknown:
            self.unknown.add(n)
        except BaseException as error:
            self.failed[n] = error
            raise
        else:
            self.acknowledged.add(n)

    def check(self, server: Postgres, database: str) -> None:
        """Compare with the database: every write is whole, and there once, or not at all."""
        halves = "SELECT coalesce(json_agg(json_build_array(n, half)), '[]') FROM written"
        rows = [tuple(row) for row in server.scalar(halves, database=database)]
        there = {n for n, _ in rows}
        assert len(rows) - len(set(rows)) == 0, "done twice"
        assert {(n, half) for n in there for half in (1, 2)} == set(rows), "done by half"
        assert self.acknowledged - there == set(), "acknowledged and lost"
        assert there - self.acknowledged - self.unknown == set(), "there, and the client was told that it failed"


async def read(db: Face, n: int) -> None:
    """Read in a session."""
    async with db.read() as session:
        assert (await session.exec(ECHO, params={"n": n})).one()[0] == n


async def fetch_value(db: Face, n: int) -> None:
    """Read one value, in a transaction or without one."""
    assert await db.fetch_value(HARMLESS if n % 2 else ECHO, {"n": n}) == n


async def fetch_all(db: Face, n: int) -> None:
    """Read rows."""
    assert [tuple(row) for row in await db.fetch_all(ECHO, {"n": n})] == [(n,)]


async def transaction(db: Face, n: int) -> None:
    """Write twice in one transaction."""
    async with db.transaction() as session:
        await session.exec(INSERT, params={"n": n, "half": 1})
        await session.exec(INSERT, params={"n": n, "half": 2})


async def execute(db: Face, n: int) -> None:
    """Write in one statement that carries its own COMMIT."""
    done = await db.execute(BOTH, {"n": n})
    assert done.rowcount == 2


READS: tuple[Request, ...] = (read, fetch_value, fetch_all)
WRITES: tuple[Request, ...] = (transaction, execute)
