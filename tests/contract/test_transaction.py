"""What ``transaction()`` promises."""

import asyncio
from collections.abc import Callable

import pytest
from sqlalchemy import text
from sqlmodel import Session, select
from sqlmodel.ext.asyncio.session import AsyncSession

from onetrip import errors
from tests.contract.face import Face
from tests.contract.models import Account


class Stop(Exception):
    """An error of the application."""


async def names(db: Face) -> list[str]:
    """Return the names of all accounts."""
    return sorted(await db.fetch_all(select(Account.name)))


async def test_commits_when_the_block_ends(db: Face) -> None:
    """What was added is there for the next one to read."""
    async with db.transaction() as session:
        session.add(Account(name="ann"))
    assert await names(db) == ["ann"]


async def test_rolls_back_on_any_exception_and_passes_it_on(db: Face) -> None:
    """An error that is not the database's leaves unchanged, and nothing is kept."""
    with pytest.raises(Stop):
        async with db.transaction() as session:
            session.add(Account(name="ann"))
            await session.flush()
            raise Stop
    assert await names(db) == []
    assert db.stats().in_use == 0


async def test_gives_sessions_of_sqlmodel(db: Face) -> None:
    """The session is the one that people know, with ``exec``."""
    async with db.transaction() as session:
        kind = Session if db.blocking else AsyncSession
        assert isinstance(session.sync if db.blocking else session, kind)


async def test_costs_no_connection_before_its_first_statement(db: Face) -> None:
    """A transaction that says nothing opens nothing."""
    async with db.transaction():
        assert db.stats().in_use == 0
    assert db.stats().opened == 0


async def test_keeps_what_was_loaded_after_the_commit(db: Face) -> None:
    """``expire_on_commit`` is off: an object can be returned after its session has ended."""
    async with db.transaction() as session:
        account = Account(name="ann", balance=3)
        session.add(account)
    assert (account.name, account.balance, account.id) == ("ann", 3, 1)


async def test_a_failed_commit_raises_and_keeps_nothing(db: Face) -> None:
    """A deferred constraint that fails at COMMIT is an error of the block, in the phase ``commit``."""
    with pytest.raises(errors.UniqueViolation) as caught:
        async with db.transaction() as session:
            await session.exec(text("SET CONSTRAINTS account_name DEFERRED"))
            session.add_all([Account(name="ann"), Account(name="ann")])
    assert caught.value.phase is errors.Phase.COMMIT
    assert caught.value.constraint == "account_name"
    assert await names(db) == []
    assert db.stats().in_use == 0


async def test_commit_inside_the_block_is_allowed(db: Face) -> None:
    """Copied code that commits by itself works, and goes on in a new transaction with the same settings."""
    async with db.transaction(local={"app.user": "ann"}) as session:
        session.add(Account(name="ann"))
        await session.commit()
        assert (await session.exec(text("SELECT current_setting('app.user')"))).scalar() == "ann"
        session.add(Account(name="bob"))
    assert await names(db) == ["ann", "bob"]


async def test_rollback_inside_the_block_is_allowed(db: Face) -> None:
    """What was undone stays undone, what follows is committed."""
    async with db.transaction() as session:
        session.add(Account(name="ann"))
        await session.flush()
        await session.rollback()
        session.add(Account(name="bob"))
    assert await names(db) == ["bob"]


async def test_savepoints_work(db: Face) -> None:
    """A failed savepoint leaves the transaction around it whole."""
    async with db.transaction() as session:
        session.add(Account(name="ann"))
        await session.flush()
        await session.exec(text("SAVEPOINT here"))
        with pytest.raises(Exception, match="account_name"):
            await session.exec(text("INSERT INTO account (name) VALUES ('ann')"))
        await session.exec(text("ROLLBACK TO here"))
        session.add(Account(name="bob"))
    assert await names(db) == ["ann", "bob"]


async def test_a_session_that_ended_stays_ended(db: Face) -> None:
    """Closed means closed: it does not silently open a second transaction."""
    async with db.transaction() as session:
        session.add(Account(name="ann"))
    with pytest.raises(errors.SessionClosed, match="background"):
        await session.exec(text("SELECT 1"))
    with pytest.raises(errors.SessionClosed):
        session.add(Account(name="bob"))
    assert await names(db) == ["ann"]
    assert db.stats().in_use == 0


async def test_a_session_closed_inside_its_block_commits_nothing(db: Face) -> None:
    """Closing is rolling back, also when the block then ends without an error."""
    async with db.transaction() as session:
        session.add(Account(name="ann"))
        await session.flush()
        await session.close()
    assert await names(db) == []


@pytest.mark.parametrize("level", ["read committed", "repeatable read", "serializable"])
async def test_has_the_isolation_it_was_given(db: Face, level: str) -> None:
    """The server says so, and the next transaction on the same connection has the default again."""
    question = text("SELECT current_setting('transaction_isolation')")
    async with db.transaction(isolation=level) as session:
        assert (await session.exec(question)).scalar() == level
    async with db.transaction() as session:
        assert (await session.exec(question)).scalar() == "read committed"
    assert db.stats().opened == 1


async def test_many_at_once_stay_apart(open_face: Callable[..., Face]) -> None:
    """Each of fifty concurrent transactions sees its own setting and commits its own row."""
    db = open_face(pool_max=5)

    async def one(number: int) -> None:
        async with db.transaction(local={"app.user": str(number)}) as session:
            session.add(Account(name=str(number)))
            await session.flush()
            seen = (await session.exec(text("SELECT current_setting('app.user')"))).scalar()
            assert seen == str(number)

    await asyncio.gather(*(one(number) for number in range(50)))
    assert len(await names(db)) == 50
    assert db.stats().opened <= 5
    assert db.stats().in_use == 0
