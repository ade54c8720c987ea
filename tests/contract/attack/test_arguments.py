"""Names, roles, time-outs and levels: each is taken exactly as written, or refused before anything is sent."""

from collections.abc import Callable
from enum import StrEnum
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sqlalchemy import text

from onetrip import deadline, errors
from tests.contract.attack.arena import IDENTITY, ODD_ROLES, PAYLOADS, assert_at_rest, impossible, seen, values
from tests.contract.attack.doors import DIRECT, POOLED, attacks, through
from tests.contract.face import MODES, Face
from tests.harness.postgres import Postgres

SETTING = text("SELECT current_setting(:name, true)")
TIMEOUT = text("SELECT setting::int FROM pg_settings WHERE name = 'statement_timeout'")
LEVEL = text("SELECT current_setting('transaction_isolation')")

part = st.from_regex(r"[A-Za-z_][A-Za-z0-9_$]{0,80}", fullmatch=True)
names = st.lists(part, min_size=1, max_size=2).map(lambda parts: ".".join(["own", *parts]))
wrong_names = st.one_of(values, st.tuples(names, values).map(lambda pair: f"{pair[0]} {pair[1]}"))


# What is refused before anything is sent is no matter of the driver.
TWINS = pytest.mark.parametrize("mode", [MODES[0], MODES[-1]], ids=str)


async def refused(db: Face, **options: Any) -> str:
    """Open a transaction that must be refused before a connection is made; return what was said."""
    with pytest.raises(errors.ConfigurationError) as caught:
        async with db.transaction(**options) as session:
            await session.exec(text("SELECT 1"))
    assert db.stats().opened == 0
    return str(caught.value)


@TWINS
@attacks(10)
@given(value=impossible)
async def test_what_is_no_text_is_refused(db: Face, value: str) -> None:
    """A NUL or half a character is an error of ours; it does not repeat what may be private."""
    said = await refused(db, local={"app.user": f"a secret {value}"})
    assert "a secret" not in said
    await refused(db, role=value)


@TWINS
async def test_what_is_no_string_is_refused(db: Face) -> None:
    """Nobody has to guess how a number, None or bytes would have been written."""
    for value in (None, 7, 1.5, True, b"bytes", ("tuple",)):
        await refused(db, local={"app.user": value})
        await refused(db, local={value: "x"})
        if value is not None:
            await refused(db, role=value)
            await refused(db, isolation=value)


async def test_a_string_of_a_class_of_its_own_is_that_string(db: Face) -> None:
    """The member of an enumeration is its value on every driver, not its name."""

    class Tenant(StrEnum):
        ACME = "acme \\' é"

    row = await db.fetch_one(IDENTITY, local={"app.user": Tenant.ACME})
    assert seen(row).settings["app.user"] == Tenant.ACME.value


@attacks(10)
@given(name=names, value=st.sampled_from(PAYLOADS[:12]))
@example(name="own." + "x" * 200, value="as long as it is")
@example(name="OWN.MiXed", value="whatever its case")
async def test_a_name_is_that_of_the_setting(db: Face, name: str, value: str) -> None:
    """A name of any length and case is not cut off and not another one's."""
    assert await db.fetch_value(SETTING, {"name": name}, local={name: value}) == value
    assert await db.fetch_value(SETTING, {"name": name[:-1]}, local={name: value}) in {None, ""}
    assert await db.fetch_value(SETTING, {"name": name}) == ""


@TWINS
@attacks(10)
@given(name=wrong_names)
@example(name="app.user\n")
@example(name="app.user, role")
@example(name="app.user = '' --")
@example(name="app..user")
@example(name=".user")
@example(name="ａpp.user")
async def test_a_name_that_is_none_is_refused(db: Face, name: str) -> None:
    """What is not letters, digits and a dot never reaches the server."""
    await refused(db, local={name: "x"})


@through(DIRECT, POOLED)
async def test_a_role_needs_no_quotes(db: Face, other: Face) -> None:
    """Spaces, quotes, capitals and other alphabets are part of a role's name, whatever way the statement is run."""
    for role in ODD_ROLES:
        assert seen(await db.fetch_one(IDENTITY, role=role)).user == role
        await assert_at_rest(other)


@through(DIRECT, POOLED)
@attacks(10)
@given(role=values.filter(lambda role: role and len(role.encode()) <= 63 and role.lower() != "none"))
@example(role="none ")
@example(role="canary_role; RESET ROLE")
@example(role="CANARY_ROLE")
async def test_a_role_that_does_not_exist_is_nobody(db: Face, other: Face, role: str) -> None:
    """The statement does not run, under no role whatsoever, and the next user is not disturbed."""
    with pytest.raises(errors.InvalidStatement) as caught:  # 500: no client has sent a wrong value
        await db.fetch_one(IDENTITY, role=role, local={"app.user": "left behind?"})
    assert caught.value.http_status == 500
    await assert_at_rest(other)


@TWINS
async def test_a_role_is_never_cut_off_to_another_ones_name(db: Face) -> None:
    """PostgreSQL would shorten a name to 63 bytes, and act as the role that is called by the rest."""
    longest = ODD_ROLES[-1]
    assert len(longest.encode()) == 63
    said = await refused(db, role=longest + "-and-another-tenant")
    assert "63" in said


@attacks(10)
@given(seconds=st.floats(min_value=1, max_value=2_147_483))
async def test_a_time_out_arrives_to_the_millisecond(db: Face, seconds: float) -> None:
    """Whatever the float, the server counts the same milliseconds."""
    assert await db.fetch_value(TIMEOUT, statement_timeout=seconds) == round(seconds * 1000)


@TWINS
@attacks(10)
@given(seconds=st.one_of(st.floats().filter(lambda f: not 0 < f <= 2_147_483), values, st.none().map(lambda _: b"5")))
async def test_a_time_out_that_is_none_is_refused(db: Face, seconds: Any) -> None:
    """Not a number, infinite, negative or text: nothing of it becomes "without limit", and no deadline hides it."""
    await refused(db, statement_timeout=seconds)
    with deadline(60):
        await refused(db, statement_timeout=seconds)


async def test_the_shortest_time_out_is_one(db: Face) -> None:
    """Less than half a millisecond is not rounded to 0, which PostgreSQL reads as without limit."""
    with pytest.raises(errors.StatementTimeout):
        await db.fetch_value(text("SELECT pg_sleep(5)"), statement_timeout=1e-9)


async def test_so_does_the_one_of_the_settings(open_face: Callable[..., Face]) -> None:
    """The default for every statement is at least a millisecond, too."""
    db = open_face(statement_timeout=0.0004)
    with pytest.raises(errors.StatementTimeout):
        await db.fetch_value(text("SELECT pg_sleep(5)"))


@TWINS
@attacks(10)
@given(level=values)
async def test_a_level_is_one_of_three(db: Face, level: str) -> None:
    """Whatever else is written is refused."""
    await refused(db, isolation=level)


async def test_a_level_is_in_force(db: Face) -> None:
    """Case and underscores are no matter."""
    for level in ("read committed", "REPEATABLE_READ", "Serializable"):
        async with db.transaction(isolation=level) as session:
            assert (await session.exec(LEVEL)).scalar() == level.lower().replace("_", " ")
    assert await db.fetch_value(LEVEL) == "read committed"


async def test_functions_of_the_same_name_are_passed_by(
    open_face: Callable[..., Face], url: str, database_of: Callable[..., str], postgres: Postgres
) -> None:
    """A search_path that puts somebody else's functions first changes nothing."""
    postgres.execute(OTHERS, database=database_of(DIRECT))
    db = open_face(database_url=f"{url}?options=-c%20search_path%3Dothers,pg_catalog")
    assert await db.fetch_value(text("SELECT set_config('app.user', 'x', true)")) == "others"
    row = await db.fetch_one(IDENTITY, local={"app.user": "ann"}, role=ODD_ROLES[0])
    assert (seen(row).user, seen(row).settings["app.user"]) == (ODD_ROLES[0], "ann")


OTHERS = """
    DROP SCHEMA IF EXISTS others CASCADE; CREATE SCHEMA others; GRANT USAGE ON SCHEMA others TO PUBLIC;
    CREATE FUNCTION others.set_config(text, text, boolean) RETURNS text RETURN 'others';
    CREATE FUNCTION others.decode(text, text) RETURNS bytea RETURN 'others'::bytea;
    CREATE FUNCTION others.convert_from(bytea, name) RETURNS text RETURN 'others'
"""
