"""What ``role=``, ``local=`` and ``statement_timeout=`` promise."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from onetrip import errors
from tests.contract.face import Face

SETTING = text("SELECT current_setting('app.user', true)")


async def test_a_setting_ends_with_its_transaction(db: Face) -> None:
    """The next user of the same connection does not see it."""
    async with db.transaction(local={"app.user": "ann"}) as session:
        assert (await session.exec(SETTING)).scalar() == "ann"
    assert await db.fetch_value(SETTING) in (None, "")
    assert db.stats().opened == 1


async def test_a_setting_ends_with_a_failed_transaction(db: Face) -> None:
    """Also when the transaction was rolled back by an error."""
    with pytest.raises(errors.InvalidStatement):
        async with db.transaction(local={"app.user": "ann"}) as session:
            await session.exec(text("nonsense"))
    assert await db.fetch_value(SETTING) in (None, "")


async def test_a_role_ends_with_its_transaction(db: Face) -> None:
    """The role is that of the login again."""
    await db.execute(text("CREATE ROLE contract_reader"))
    try:
        await db.execute(text("GRANT contract_reader TO CURRENT_USER"))
        assert await db.fetch_value(text("SELECT current_user"), role="contract_reader") == "contract_reader"
        assert await db.fetch_value(text("SELECT current_user")) == "app"
    finally:
        await db.execute(text("DROP ROLE contract_reader"))


async def test_an_unknown_role_is_an_error_of_its_own(db: Face) -> None:
    """The statement is not run under another role instead."""
    with pytest.raises(errors.DatabaseError, match="no_such_role"):
        await db.fetch_value(text("SELECT 1"), role="no_such_role")


async def test_a_statement_is_stopped_at_its_time_out(db: Face) -> None:
    """``statement_timeout`` is in seconds and the server's."""
    with pytest.raises(errors.StatementTimeout):
        await db.fetch_value(text("SELECT pg_sleep(5)"), statement_timeout=0.05)
    assert await db.fetch_value(text("SELECT current_setting('statement_timeout')")) == "30s"


@pytest.mark.parametrize(
    "arguments",
    [
        {"isolation": "snapshot"},
        {"statement_timeout": 0},
        {"statement_timeout": -1},
        {"statement_timeout": float("nan")},
        {"role": ""},
        {"role": "none"},
        {"local": {"search_path": "x"}},
        {"local": {"role": "x"}},
        {"local": {"app.a; drop table account": "x"}},
        {"local": {"app.user": 7}},
        {"local": {"app.user": "a\0b"}},
    ],
    ids=str,
)
async def test_what_cannot_be_meant_is_refused(db: Face, arguments: dict[str, object]) -> None:
    """A wrong argument is a clear error before anything is sent."""
    with pytest.raises(errors.ConfigurationError):
        async with db.transaction(**arguments) as session:
            await session.exec(text("SELECT 1"))
    assert db.stats().opened == 0


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=st.text(alphabet=st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=60))
async def test_any_value_arrives_as_it_is(db: Face, value: str) -> None:
    """No value becomes SQL, none changes on the way."""
    assert await db.fetch_value(SETTING, local={"app.user": value}) == value
