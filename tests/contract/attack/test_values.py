"""Values that want to be SQL, on servers that make it easy: none does, none leaks, none changes."""

import pytest
from hypothesis import given
from sqlalchemy import text

from onetrip import errors
from tests.contract.attack.arena import IDENTITY, PAYLOADS, assert_at_rest, seen, values
from tests.contract.attack.doors import CAMPAIGN, EVERY_RUN, OFF_SJIS, POOLED, Door, attacks, through
from tests.contract.face import Face

# Two characters may have one spelling in EUC_JP, as ¦ and ￤ have: then its text is all that a server can keep.
SPELLED = text("SELECT encode(convert_to(convert_from(decode(:given, 'hex'), 'UTF8'), 'UTF8'), 'hex')")


async def arrives(db: Face, other: Face, door: Door, value: str) -> None:
    """Check one value: inside it is exact, or the server says that its encoding lacks a character; then it is gone."""
    narrow = door.encoding not in {"UTF8", "SQL_ASCII"} and not value.isascii()
    try:
        inside = seen(await db.fetch_one(IDENTITY, local={"app.user": value}))
    except errors.InvalidData:
        if not narrow:
            raise
    else:
        spelled = await db.fetch_value(SPELLED, {"given": value.encode().hex()}) if narrow else value.encode().hex()
        assert inside.settings["app.user"] == bytes.fromhex(spelled).decode()
    await assert_at_rest(other)


@through(*EVERY_RUN)
async def test_a_payload_is_a_value(db: Face, other: Face, door: Door) -> None:
    """What has opened other databases is text here."""
    for payload in PAYLOADS:
        await arrives(db, other, door, payload)


@through(OFF_SJIS, POOLED)
@attacks(8)
@given(value=values)
async def test_any_value_arrives_and_goes(db: Face, other: Face, door: Door, value: str) -> None:
    """No value becomes SQL, none changes on the way, none is there for the next user."""
    await arrives(db, other, door, value)


@through(OFF_SJIS, POOLED)
async def test_what_another_user_changed_changes_no_value(db: Face, other: Face, door: Door) -> None:
    """A setting left on a connection makes no SQL of the next user's values, be they settings or parameters."""
    for statement in LEFT_BEHIND:
        await db.execute(text(statement))
        for payload in PAYLOADS[2:12]:
            assert await db.fetch_value(text("SELECT CAST(:value AS text)"), {"value": payload}) == payload
            await arrives(db, other, door, payload)


LEFT_BEHIND = (
    "SET standard_conforming_strings = on",
    "SET standard_conforming_strings = off",
    "SET backslash_quote = off",
    "SET client_encoding = 'SJIS'",
    "SET client_encoding = 'LATIN1'",
)


@pytest.mark.slow
@through(*CAMPAIGN)
@attacks(100)
@given(value=values)
async def test_any_value_through_every_door(db: Face, other: Face, door: Door, value: str) -> None:
    """The same, longer, and in every encoding."""
    await arrives(db, other, door, value)
