"""An empty string is a value; absent is what PostgreSQL makes of it, and what a policy must make of that."""

from collections.abc import Callable

from sqlalchemy import text

from tests.contract.attack.arena import PRESET
from tests.contract.attack.doors import DIRECT, POOLED, Door, through
from tests.contract.face import Face
from tests.harness.postgres import Postgres

FRESH = "app.fresh"
SETTING = text("SELECT current_setting(:name, true)")
NOTE = """
    DROP TABLE IF EXISTS note;
    CREATE TABLE note (owner text);
    INSERT INTO note VALUES ('ann'), (''), (NULL);
    CREATE POLICY own ON note USING (owner = NULLIF(current_setting('app.reader', true), ''));
    ALTER TABLE note ENABLE ROW LEVEL SECURITY;
    GRANT SELECT ON note TO PUBLIC
"""
NOTES = text("SELECT owner FROM note")


async def test_absent_is_null_until_the_first_use_and_empty_ever_after(db: Face) -> None:
    """That is PostgreSQL's own rule, for each connection; what was set before is there again."""
    assert await db.fetch_value(SETTING, {"name": FRESH}) is None
    assert await db.fetch_value(SETTING, {"name": FRESH}, local={FRESH: "ann"}) == "ann"
    assert await db.fetch_value(SETTING, {"name": FRESH}) == ""
    assert await db.fetch_value(SETTING, {"name": PRESET}, local={PRESET: "ann"}) == "ann"
    assert await db.fetch_value(SETTING, {"name": PRESET}) == "before"
    assert db.stats().opened == 1


async def test_an_empty_string_is_set(db: Face) -> None:
    """It arrives on a connection that never had the setting, and it hides what the database has."""
    assert await db.fetch_value(SETTING, {"name": FRESH}, local={FRESH: ""}) == ""
    assert await db.fetch_value(SETTING, {"name": PRESET}, local={PRESET: ""}) == ""
    assert await db.fetch_value(SETTING, {"name": PRESET}, local={}) == "before"


@through(DIRECT, POOLED)
async def test_a_policy_with_nullif_knows_nobody(
    db: Face, other: Face, door: Door, database_of: Callable[[Door], str], postgres: Postgres
) -> None:
    """Never set, set to nothing, and used up: each time there are no rows, not even those of nobody."""
    postgres.execute(NOTE, database=database_of(door))
    assert await other.fetch_all(NOTES) == []
    assert await db.fetch_all(NOTES, local={"app.reader": ""}) == []
    assert await db.fetch_all(NOTES, local={"app.reader": "ann"}) == [("ann",)]
    assert await other.fetch_all(NOTES) == []


async def test_a_default_makes_absent_the_same_everywhere(
    db: Face, database_of: Callable[[Door], str], postgres: Postgres
) -> None:
    """A setting that the database presets to nothing is never NULL, so a first connection is as any other."""
    postgres.execute(f"ALTER DATABASE {database_of(DIRECT)} SET app.declared = ''")
    assert await db.fetch_value(SETTING, {"name": "app.declared"}) == ""
    assert await db.fetch_value(SETTING, {"name": "app.declared"}, local={"app.declared": "ann"}) == "ann"
    assert await db.fetch_value(SETTING, {"name": "app.declared"}) == ""
