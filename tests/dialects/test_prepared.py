"""What psycopg believes to be prepared is prepared, whatever rides along."""

from collections.abc import Iterator

import pytest
from sqlalchemy import text

from onetrip import Database, Settings, errors

TWICE = [{"a": 1}, {"a": 2}]
STATEMENT = text("SELECT CAST(:a AS int)")


@pytest.fixture
def db(database_url: str) -> Iterator[Database]:
    """Open a database with one connection and a table whose constraint speaks at COMMIT."""
    with Database(settings=Settings(database_url=database_url, tier="test", pool_max=1)) as db:
        db.execute(text("CREATE TABLE late (a int UNIQUE DEFERRABLE INITIALLY DEFERRED)"))
        db.execute(text("INSERT INTO late VALUES (1)"))
        yield db


def test_executemany_behind_a_rollback_that_is_owed(db: Database) -> None:
    """The plans that go with a rolled back CREATE TABLE are thrown away before executemany prepares its own."""
    for _ in range(5):
        with db.engine.connect() as connection:
            connection.execute(text("CREATE TABLE account (id int)"))
        with db.engine.connect() as connection:
            connection.execute(STATEMENT, TWICE)
            connection.execute(STATEMENT, TWICE)


def test_a_migration_goes_by_unnoticed(db: Database, database_url: str) -> None:
    """A plan that lost its table's shape is made anew, where it was the first statement of its transaction."""
    db.execute(text("CREATE TABLE moved (a int)"))
    db.execute(text("INSERT INTO moved VALUES (7)"))
    rows = text("SELECT a FROM moved WHERE CAST(:b AS int) = 1")
    with Database(settings=Settings(database_url=database_url, tier="test")) as other:
        for type_ in ("bigint", "text", "int USING a::int"):
            for _ in range(8):
                with db.transaction() as session:
                    assert str(session.execute(rows, {"b": 1}).scalar_one()) == "7"
                assert str(db.fetch_value(rows, {"b": 1})) == "7"
            other.execute(text(f"ALTER TABLE moved ALTER COLUMN a TYPE {type_}"))


def test_executemany_in_autocommit_behind_a_failed_commit(db: Database) -> None:
    """The plans that go with a failed flight are thrown away before executemany prepares its own."""
    for _ in range(5):
        with pytest.raises(errors.UniqueViolation):
            db.execute(text("INSERT INTO late VALUES (1)"))
        with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(STATEMENT, TWICE)
            connection.execute(STATEMENT, TWICE)
