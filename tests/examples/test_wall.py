"""The wall between users stands in the database, whoever forgets what in the application."""

from typing import Any

import psycopg
import pytest
from app.models import Task
from app.sessions import acting_for
from psycopg import errors
from sqlalchemy import delete, update
from sqlmodel import select

from onetrip import Database, Settings
from onetrip.errors import PermissionDenied
from tests.harness.postgres import Postgres


@pytest.fixture
def planted(postgres: Postgres, tasks_database: str) -> None:
    """Give ada and ben one task each."""
    for user in ("ada", "ben"):
        postgres.execute("INSERT INTO tasks (user_id, title) VALUES (%s, 'secret')", user, database=tasks_database)


@pytest.mark.usefixtures("planted")
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, []),
        ({"role": "tasks_app"}, []),
        ({"role": "tasks_app", "local": {"app.user_id": ""}}, []),
        ({"role": "tasks_app", "local": {"app.user_id": "nobody"}}, []),
        (acting_for("ada"), ["ada"]),
        ({"local": {"app.user_id": "ada"}}, ["ada"]),
    ],
)
def test_only_an_identity_makes_rows_visible(tasks_url: str, options: dict[str, Any], expected: list[str]) -> None:
    """Without one there are no rows, not even for the owner of the table; with one, there are that user's."""
    with Database(settings=Settings(database_url=tasks_url, tier="test")) as db:
        db.fetch_all(select(Task), **acting_for("ben"))  # on the connection that is used again
        assert [task.user_id for task in db.fetch_all(select(Task), **options)] == expected


@pytest.mark.usefixtures("planted")
def test_writes_without_a_filter_reach_ones_own_rows_only(
    tasks_url: str, postgres: Postgres, tasks_database: str
) -> None:
    """A forgotten WHERE costs one user, not all of them."""
    with Database(settings=Settings(database_url=tasks_url, tier="test")) as db:
        assert db.execute(update(Task).values(title="changed"), **acting_for("ada")).rowcount == 1
        assert db.execute(delete(Task), **acting_for("ada")).rowcount == 1
        with pytest.raises(PermissionDenied):
            db.execute(update(Task).values(user_id="ada"), **acting_for("ben"))
    left = postgres.scalar("SELECT array_agg(user_id || ' ' || title) FROM tasks", database=tasks_database)
    assert left == ["ben secret"]


def test_the_roles_can_do_no_more_than_they_must(postgres: Postgres, tasks_database: str) -> None:
    """Neither role logs in, owns a table or passes row-level security; the table forces it on its owner."""
    with postgres.connect(tasks_database) as server:
        roles = server.execute(
            "SELECT rolname, rolsuper OR rolbypassrls OR rolcanlogin OR rolcreaterole OR rolcreatedb FROM pg_roles "
            "WHERE rolname IN ('tasks_app', 'tasks_search') ORDER BY 1"
        ).fetchall()
        owned = server.execute("SELECT tableowner FROM pg_tables WHERE schemaname = 'public'").fetchall()
        forced = server.execute("SELECT relforcerowsecurity FROM pg_class WHERE relname = 'tasks'").fetchall()
        public = server.execute("SELECT has_function_privilege('public', 'matching_tasks(text)', 'EXECUTE')").fetchall()
        reach = server.execute(
            "SELECT table_name, privilege_type FROM information_schema.table_privileges WHERE grantee = 'tasks_app'"
        ).fetchall()
        content = server.execute(
            "SELECT column_name FROM information_schema.column_privileges WHERE grantee = 'tasks_search'"
        ).fetchall()
    assert roles == [("tasks_app", False), ("tasks_search", False)]
    assert {name for (name,) in owned} == {"app"}
    assert forced == [(True,)]
    assert public == [(False,)]
    assert {table for table, _ in reach} == {"tasks"}
    assert not {"title", "description", "tags", "metadata"} & {name for (name,) in content}


def test_nobody_can_become_the_searcher(tasks_url: str) -> None:
    """The role that reads every vector is out of reach even for the owner of the tables."""
    with psycopg.connect(tasks_url) as server, pytest.raises(errors.InsufficientPrivilege):
        server.execute("SET ROLE tasks_search")


@pytest.mark.usefixtures("planted")
def test_deleting_a_user_deletes_their_tasks(tasks_url: str, postgres: Postgres, tasks_database: str) -> None:
    """The cascade passes the wall: what a user leaves behind is nobody's."""
    with psycopg.connect(tasks_url) as server:
        server.execute("""DELETE FROM "user" WHERE id = 'ada'""")
    assert postgres.scalar("SELECT array_agg(user_id) FROM tasks", database=tasks_database) == ["ben"]
