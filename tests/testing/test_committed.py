"""Tests that need real commits have a database of their own."""

import psycopg
import pytest
from sqlalchemy import text
from sqlmodel import select

from onetrip import AsyncDatabase, Database, Settings
from onetrip.testing._worker import Worker

from .models import Item

COUNT = "SELECT count(*) FROM kit_item"


def test_a_commit_is_seen_by_others_and_not_by_the_next_test(worker: Worker) -> None:
    """The rows are really there, in a database that the next test does not share."""
    seen = []
    for _ in range(2):
        with worker.test((), committed=True) as stage, stage.database() as db:
            db.execute(text("INSERT INTO kit_item (name) VALUES ('a')"))
            with psycopg.connect(stage.url) as other:
                seen.append((other.info.dbname, other.execute(COUNT).fetchone()[0]))
    assert [count for _, count in seen] == [1, 1]
    assert seen[0][0] != seen[1][0]


def test_isolation_and_two_transactions_at_once_are_real(worker: Worker) -> None:
    """What one connection cannot show, this can: two open transactions that do not see each other."""
    with worker.test((), committed=True) as stage, stage.database() as db:
        with db.transaction(isolation="serializable") as one:
            assert one.exec(text("SHOW transaction_isolation")).scalar() == "serializable"
            one.add(Item(name="a"))
            one.flush()
            assert db.fetch_all(select(Item)) == []
        assert len(db.fetch_all(select(Item))) == 1


@pytest.mark.parametrize("driver", ["psycopg", "asyncpg"])
async def test_the_applications_driver_is_used(worker: Worker, driver: str) -> None:
    """An application's own object keeps its settings and its driver, and works on the test's database."""
    app_db = AsyncDatabase(settings=Settings(database_url="postgresql://nobody@127.0.0.1:1/app", driver=driver))
    with worker.test([app_db], committed=True):
        await app_db.execute(text("INSERT INTO kit_item (name) VALUES ('a')"))
        assert app_db.engine.dialect.driver == driver
        assert app_db.stats().idle == 0  # a resting connection would belong to a loop that ends
    assert "127.0.0.1:1/" in repr(app_db)


def test_the_end_drops_the_database_whoever_is_connected(worker: Worker) -> None:
    """A connection that a test leaves open does not keep the database."""
    with worker.test((), committed=True) as stage:
        left = psycopg.connect(stage.url)
    with pytest.raises(psycopg.OperationalError):
        left.execute("SELECT 1")
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        psycopg.connect(stage.url)


def test_a_blocking_database_is_redirected_too(worker: Worker) -> None:
    """In both modes the application's object comes back as it was."""
    app_db = Database(settings=Settings(database_url="postgresql://nobody@127.0.0.1:1/app"))
    for committed in (False, True):
        with worker.test([app_db], committed=committed) as stage, stage.database() as db:
            app_db.execute(text("INSERT INTO kit_item (name) VALUES ('a')"))
            assert db.fetch_value(text(COUNT)) == 1
    assert "127.0.0.1:1/" in repr(app_db)
