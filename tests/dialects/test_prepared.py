"""What the server has prepared and what psycopg remembers of it stay the same, whatever rides along."""

import pytest
from sqlalchemy import create_engine


@pytest.mark.parametrize("dialect", ["onetrip"])
def test_executemany_behind_a_rollback_that_is_owed(database_url: str, dialect: str) -> None:
    """The plans that go with a rolled back CREATE TABLE are thrown away before executemany prepares its own."""
    engine = create_engine(database_url.replace("postgresql:", f"postgresql+{dialect}:", 1))
    connection = engine.raw_connection()
    cursor = connection.cursor()
    for _ in range(5):
        cursor.execute("CREATE TABLE account (id int)")
        connection.rollback()
        for _ in range(2):
            cursor.executemany("SELECT %s::int", [(1,), (2,)])
        connection.rollback()
    connection.close()
    engine.dispose()
