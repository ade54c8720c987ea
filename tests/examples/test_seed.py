"""The seed is fast, the same each time, and leaves the wall standing."""

import pytest
from seed import people, seed

from onetrip.errors import ConfigurationError
from tests.harness.postgres import Postgres


@pytest.fixture
def empty(postgres: Postgres, tasks_database: str) -> str:
    """Have no users yet."""
    postgres.execute("""DELETE FROM "user" """, database=tasks_database)
    return tasks_database


def counts(postgres: Postgres, database: str) -> dict[str, int]:
    """Return how many tasks each user has."""
    with postgres.connect(database) as server:
        return dict(server.execute("SELECT user_id, count(*) FROM tasks GROUP BY 1").fetchall())


def indexes(postgres: Postgres, database: str) -> list[str]:
    """Return the definitions of the indexes."""
    with postgres.connect(database) as server:
        rows = server.execute("SELECT indexdef FROM pg_indexes WHERE tablename = 'tasks' ORDER BY 1").fetchall()
    return [row[0] for row in rows]


def test_every_user_gets_their_tasks_and_nothing_else_changes(postgres: Postgres, empty: str, tasks_url: str) -> None:
    """As many as asked for, progress to the end, the same indexes as before, and FORCE is on again."""
    before, steps = indexes(postgres, empty), []
    done = seed(
        tasks_url,
        users=30,
        tasks_per_user=20,
        tasks_of_first=100,
        progress=lambda rows, total: steps.append((rows, total)),
    )
    ids = [person.id for person in people(30)]
    assert counts(postgres, empty) == dict.fromkeys(ids, 20) | {ids[0]: 100}
    assert (done.users, done.tasks) == (30, 680)
    assert done.rows_per_second > 0
    assert steps[-1] == (680, 680)
    assert indexes(postgres, empty) == before
    assert postgres.scalar("SELECT relforcerowsecurity FROM pg_class WHERE relname = 'tasks'", database=empty) is True


def test_a_second_seed_adds_only_who_is_missing(postgres: Postgres, empty: str, tasks_url: str) -> None:
    """Twice is once; more users are added to those who are there."""
    seed(tasks_url, users=10, tasks_per_user=5)
    assert seed(tasks_url, users=10, tasks_per_user=5).tasks == 0
    assert seed(tasks_url, users=12, tasks_per_user=5).users == 2
    assert counts(postgres, empty) == {person.id: 5 for person in people(12)}


def test_an_interrupted_seed_leaves_nothing(postgres: Postgres, empty: str, tasks_url: str) -> None:
    """Ctrl-C in the middle: no users, no tasks, all indexes, and the owner is still bound."""
    before = indexes(postgres, empty)

    def interrupt(_rows: int, _total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        seed(tasks_url, users=10, tasks_per_user=5, progress=interrupt)
    assert counts(postgres, empty) == {}
    assert postgres.scalar("""SELECT count(*) FROM "user" """, database=empty) == 0
    assert indexes(postgres, empty) == before
    assert postgres.scalar("SELECT relforcerowsecurity FROM pg_class WHERE relname = 'tasks'", database=empty) is True


def test_real_users_are_not_mixed_with_invented_ones(postgres: Postgres, empty: str, tasks_url: str) -> None:
    """Where the user table is Better Auth's own, the seed refuses."""
    postgres.execute("""COMMENT ON TABLE "user" IS NULL""", database=empty)
    with pytest.raises(ConfigurationError, match="Better Auth"):
        seed(tasks_url, users=1, tasks_per_user=1)
