"""As whom a transaction acts is settled before its first statement, or there is no statement."""

import asyncio
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.exc import SQLAlchemyError

from onetrip import errors
from tests.contract.attack.arena import IDENTITY, ODD_ROLES, assert_at_rest, seen
from tests.contract.attack.doors import DIRECT, POOLED, attacks, through
from tests.contract.face import MODES, Face

ANN = {"role": ODD_ROLES[0], "local": {"app.user": "ann"}}


async def look(session: Any) -> None:
    """See the identity that was asked for, or nothing at all."""
    with suppress(SQLAlchemyError):
        now = seen((await session.exec(IDENTITY)).one())
        assert (now.user, now.settings["app.user"]) == (ANN["role"], "ann")


@pytest.mark.parametrize("options", [{"role": ODD_ROLES[0]}, {"local": {"app.user": "ann"}}], ids=str)
async def test_nobody_acts_in_autocommit(db: Face, options: dict[str, Any]) -> None:
    """There role= and local= would hold for nothing: it is refused, for those who catch the refusal as well."""
    with pytest.raises(SQLAlchemyError):  # COMMIT of what was refused
        async with db.transaction(**options) as session:
            with pytest.raises(errors.UnsafeUse):
                await session.connection(execution_options={"isolation_level": "AUTOCOMMIT"})
            with pytest.raises(SQLAlchemyError):
                await session.exec(IDENTITY)
    await assert_at_rest(db)


@through(DIRECT, POOLED)
async def test_who_catches_the_refusal_of_a_role_does_not_act_as_another(db: Face, other: Face) -> None:
    """A role that does not exist ends the transaction: nothing in it runs as the login role."""
    with pytest.raises(errors.DatabaseError):
        async with db.transaction(role="no such role", local={"app.user": "ann"}) as session:
            for _ in range(2):
                with pytest.raises(SQLAlchemyError):
                    await session.exec(IDENTITY)
            raise errors.InvalidStatement("a block that failed")
    await assert_at_rest(other)


@pytest.mark.parametrize(
    ("mode", "door"),
    [(mode, door) for mode in MODES if mode.colour == "async" for door in (DIRECT, POOLED)],
    ids=str,
)
@attacks(10)
@given(turns=st.integers(0, 60))
async def test_whoever_outlives_a_cancellation_is_who_they_were(db: Face, other: Face, turns: int) -> None:
    """A statement that was given up, at whatever moment, leaves no transaction without its identity."""
    with suppress(errors.DatabaseError, SQLAlchemyError):
        async with db.transaction(**ANN) as session:
            first = asyncio.ensure_future(look(session))
            for _ in range(turns):
                await asyncio.sleep(0)
            first.cancel()
            await asyncio.wait([first])
            if not first.cancelled():
                first.result()
            await look(session)
            await session.rollback()
            await look(session)
    await assert_at_rest(other)
