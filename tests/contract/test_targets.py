"""The handful of promises that every target keeps in each run; the whole suite runs on all of them as slow tests."""

import asyncio
from collections.abc import Callable

import pytest
from sqlalchemy import text
from sqlmodel import select

from onetrip import errors
from tests.contract.face import Face
from tests.contract.models import Account
from tests.contract.targets import OTHERS, STOCK

SEEN = text("SELECT current_setting('app.user') || ' ' || current_setting('statement_timeout')")


@pytest.mark.parametrize("target", OTHERS, indirect=True, ids=str)
async def test_a_target_keeps_the_main_promises(open_face: Callable[..., Face]) -> None:
    """Several at once write, see their own settings and no other's, roll back as a whole, and leave nothing behind."""
    db = open_face(pool_max=3)

    async def one(number: int) -> str:
        async with db.transaction(local={"app.user": str(number)}) as session:
            session.add(Account(name=str(number)))
            await session.flush()
            return (await session.exec(SEEN)).scalar()

    assert await asyncio.gather(*(one(number) for number in range(6))) == [f"{number} 30s" for number in range(6)]
    with pytest.raises(errors.UniqueViolation):
        async with db.transaction() as session:
            session.add_all([Account(name="6"), Account(name="5")])
    assert sorted(await db.fetch_all(select(Account.name))) == list("012345")
    with pytest.raises(errors.ReadOnlyViolation):
        await db.fetch_all(text("DELETE FROM account RETURNING id"))
    assert (await db.execute(text("DELETE FROM account"))).rowcount == 6
    assert (db.stats().in_use, db.stats().discarded) == (0, {})


@pytest.mark.parametrize("target", [STOCK], indirect=True, ids=str)
def test_off_puts_sqlalchemys_own_dialects_underneath(db: Face) -> None:
    """DATABASE_ONE_TRIP=off is a way back to what SQLAlchemy ships."""
    assert type(db.engine.dialect).__module__.startswith("sqlalchemy.")
