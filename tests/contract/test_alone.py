"""A SELECT that cannot write, as its own parts show, goes out alone: no BEGIN READ ONLY, no COMMIT."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import text
from sqlmodel import col, select

from onetrip import errors
from onetrip._core.url import parse_url
from onetrip._engine.relay import Relay
from tests.contract.face import MODES, Face
from tests.contract.models import Account
from tests.contract.targets import DEFAULT
from tests.harness.postgres import Postgres

NAMES = select(Account.name).where(col(Account.balance) >= 0).order_by(col(Account.id))


@pytest.fixture
async def ann(db: Face) -> Face:
    """Store one account."""
    await db.execute(text("INSERT INTO account (name) VALUES ('ann')"))
    return db


@pytest.mark.parametrize("mode", [mode for mode in MODES if mode.driver == "psycopg"], indirect=True, ids=str)
@pytest.mark.parametrize("target", [DEFAULT], indirect=True, ids=str)
async def test_nothing_rides_with_it(open_face: Callable[..., Face], server: Postgres, database: str) -> None:
    """What is on the wire is the statement, and after a session the ROLLBACK that was owed."""
    url = parse_url(server.url(database, sslmode="disable"))
    with Relay((server.host, server.port)) as relay:
        db = open_face(database_url=relay.through(url).render(), pool_max=1)
        await db.fetch_all(NAMES)
        with relay.watched() as flights:
            await db.fetch_all(NAMES)
        assert [len(flight.messages) for flight in flights] == [len("PBDES")]
        async with db.read() as session:
            await session.exec(NAMES)
        with relay.watched() as flights:
            await db.fetch_all(NAMES)
        assert "ROLLBACK" in str(flights[-1].messages) or len(flights) == 2  # the janitor may have been sooner
        assert "BEGIN" not in str(flights)
        await db.close()


async def test_what_might_write_is_read_only(ann: Face) -> None:
    """The server refuses what we do not know to be harmless; and in the same session nothing is left of it."""
    with pytest.raises(errors.ReadOnlyViolation):
        await ann.fetch_all(text("DELETE FROM account RETURNING id"))
    assert await ann.fetch_all(NAMES) == ["ann"]
    with pytest.raises(errors.ReadOnlyViolation):
        await ann.fetch_all(text("DELETE FROM account RETURNING id"))


@pytest.mark.parametrize("alone", [True, False], ids=["alone", "in a session"])
async def test_a_migration_in_between(ann: Face, server: Postgres, database: str, alone: bool) -> None:
    """A plan that was prepared before the column changed its type is made anew, unnoticed."""
    statement = select(Account.balance, Account.name)

    async def ask() -> Any:
        if alone:
            return await ann.fetch_one(statement)
        async with ann.read() as session:
            return (await session.exec(statement)).one()

    async def read() -> Any:
        try:
            return await ask()
        except errors.StalePlan:
            assert not ann.db._runtime.leaves_freely  # SQLAlchemy's own asyncpg dialect passes it on, once
            return await ask()

    for kind in ("bigint", "numeric", "int"):
        for _ in range(7):
            assert tuple(await read()) == (0, "ann")
        # Off the event loop, whose janitor ends what the last reader left open.
        await asyncio.to_thread(server.execute, f"ALTER TABLE account ALTER balance TYPE {kind}", database=database)
    assert tuple(await read()) == (0, "ann")


async def test_an_error_is_over_with_it(ann: Face) -> None:
    """No transaction is left in ruins for the next statement."""
    ratio = select(Account.name).where(1 / col(Account.balance) > 0)
    for _ in range(7):
        with pytest.raises(errors.DatabaseError, match="division by zero"):
            await ann.fetch_all(ratio)
        assert await ann.fetch_all(NAMES) == ["ann"]
    assert ann.stats().discarded == {}
