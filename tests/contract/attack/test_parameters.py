"""What a client of an API may send as text, and PostgreSQL cannot store, is bad data on every driver."""

import pytest
from hypothesis import given
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from onetrip import errors
from tests.contract.attack.arena import assert_at_rest, impossible, values
from tests.contract.attack.doors import attacks
from tests.contract.face import Face

ECHO = text("SELECT CAST(:value AS text)")


@attacks(4)
@given(value=impossible)
async def test_what_is_no_text_is_invalid_data(db: Face, value: str) -> None:
    r"""``"\u0000"`` and ``"\ud800"`` are good JSON: they end in 422, not in 500, and the connection stays."""
    with pytest.raises(errors.InvalidData):
        await db.fetch_value(ECHO, {"value": value})
    with pytest.raises(errors.InvalidData):
        await db.execute(ECHO, {"value": value})
    with pytest.raises(errors.InvalidData):
        async with db.transaction() as session:
            with pytest.raises(DBAPIError):
                await session.exec(ECHO, params={"value": value})
            await session.rollback()
            await session.exec(ECHO, params={"value": value})
    await assert_at_rest(db)
    assert db.stats().opened == 1


@attacks(6)
@given(value=values)
async def test_everything_else_comes_back_as_it_went(db: Face, value: str) -> None:
    """A parameter is data, whatever is in it."""
    assert await db.fetch_value(ECHO, {"value": value}) == value


async def test_the_value_is_not_in_the_error(db: Face) -> None:
    """What was refused is not repeated in a log."""
    with pytest.raises(errors.InvalidData) as caught:
        await db.fetch_value(ECHO, {"value": "private \0 \ud800"})
    assert "private" not in str(caught.value)
