"""What ``read()`` promises."""

import pytest
from sqlalchemy import text
from sqlmodel import select

from onetrip import errors
from tests.contract.face import Face
from tests.contract.models import Account


async def test_a_write_is_refused_by_the_server(db: Face) -> None:
    """READ ONLY is the server's, so no statement slips through; the error says what to use."""
    with pytest.raises(errors.ReadOnlyViolation, match=r"transaction\(\)"):
        async with db.read() as session:
            await session.exec(text("INSERT INTO account (name) VALUES ('ann')"))
    assert await db.fetch_all(select(Account)) == []


async def test_the_next_transaction_may_write_again(db: Face) -> None:
    """Read-only does not stick to the connection."""
    async with db.read() as session:
        await session.exec(text("SELECT 1"))
    async with db.transaction() as session:
        session.add(Account(name="ann"))
    assert db.stats().opened == 1


async def test_a_snapshot_does_not_move(db: Face) -> None:
    """Two reads in one snapshot agree, whatever is committed between them; without it they need not."""
    count = text("SELECT count(*) FROM account")
    async with db.read(snapshot=True) as still, db.read() as moving:
        assert [(await session.exec(count)).scalar() for session in (still, moving)] == [0, 0]
        await db.execute(text("INSERT INTO account (name) VALUES ('ann')"))
        assert [(await session.exec(count)).scalar() for session in (still, moving)] == [0, 1]
