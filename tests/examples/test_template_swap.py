"""examples/template_swap.md is true: what stays stays, what is counted is there, what changes changes."""

import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest

from onetrip._engine.liveness import TRUSTED
from tests.harness.pgbouncer import PgBouncer
from tests.harness.postgres import Postgres
from tests.harness.wait import until

from .swap import AFTER, BEFORE, SWAP, Side, database_lines, signed_up

PYTEST = ("pytest", "-q", "-p", "no:cacheprovider")
PAGE = SWAP.with_suffix(".md").read_text()
ROW = re.compile(r"^\| `([^`]+)` \| (\d+) \| (\d+) \|", re.M)
TOTAL = re.compile(r"^\| \*\*all\*\* \| \*\*(\d+)\*\* \| \*\*(\d+)\*\* \|", re.M)


def test_every_count_of_the_page_is_right() -> None:
    """The table names every file that is not the same on both sides, with its lines of code before and after."""
    files = BEFORE.files() | AFTER.files()
    changed = {name for name in files if not _same(name)}
    counted = {name: (database_lines(BEFORE.folder / name), database_lines(AFTER.folder / name)) for name in changed}
    assert {name: (int(before), int(after)) for name, before, after in ROW.findall(PAGE)} == counted
    sums = tuple(str(sum(numbers)) for numbers in zip(*counted.values(), strict=True))
    assert TOTAL.findall(PAGE) == [sums]


def _same(name: str) -> bool:
    before, after = BEFORE.folder / name, AFTER.folder / name
    return before.exists() and after.exists() and before.read_bytes() == after.read_bytes()


def test_what_stays_is_the_same() -> None:
    """Models, tokens, migrations and the tests themselves are the same files, byte for byte."""
    stays = re.findall(r"^- `([^`]+)`", PAGE.partition("## What stays")[2].partition("\n## ")[0], re.M)
    assert {"app/models.py", "app/security.py", "tests/test_items.py"} <= {*stays}
    assert [name for name in stays if not _same(name)] == []


@dataclass(frozen=True)
class Project:
    """One side and a database that its own migrations made."""

    side: Side
    database: str

    def chosen(self, *, before: Any, after: Any) -> Any:
        """Return what is expected of this side."""
        return before if self.side is BEFORE else after


@pytest.fixture(scope="module", params=[BEFORE, AFTER], ids=lambda side: side.name)
def migrated(request: pytest.FixtureRequest, postgres: Postgres) -> Iterator[Project]:
    """Migrate and fill a database by this side's own prestart script; tests copy it."""
    name = postgres.create_database()
    done = request.param.run("bash", "scripts/prestart.sh", url=postgres.url(name))
    assert done.returncode == 0, done.stderr
    yield Project(request.param, name)
    postgres.drop_database(name)


@pytest.fixture
def project(migrated: Project, postgres: Postgres) -> Iterator[Project]:
    """Give a test its own copy of the database."""
    with postgres.lent_database(template=migrated.database) as name:
        yield Project(migrated.side, name)


@pytest.mark.slow
def test_the_same_tests_pass(project: Project, postgres: Postgres) -> None:
    """Each side passes the tests that both have, with the fixtures of its own conftest."""
    ours = {"ONETRIP_TEST_SERVER": f"{postgres.host}:{postgres.port}"}
    done = project.side.run(*PYTEST, url=postgres.url(project.database), **ours)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"\b6 passed", done.stdout)


def test_tests_that_meet_a_database_with_data(project: Project, postgres: Postgres) -> None:
    """A forgotten variable: before, every user is deleted and all tests pass; after, nothing is touched."""
    users = 'SELECT count(*) FROM "user"'
    assert postgres.scalar(users, database=project.database) == 1
    done = project.side.run(*PYTEST, url=postgres.url(project.database), APP_ENV="test")
    assert postgres.scalar(users, database=project.database) == project.chosen(before=0, after=1)
    assert ("it was not touched" in done.stderr) is project.chosen(before=False, after=True)
    assert (done.returncode == 0) is project.chosen(before=True, after=False)


@pytest.mark.slow
def test_two_requests_with_one_email_address(project: Project, postgres: Postgres) -> None:
    """Whoever loses the race between look-up and INSERT gets a 500 before, and a 409 after."""
    url = postgres.url(project.database)
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND wait_event_type = 'Lock'"
    with project.side.serving(url) as client, ThreadPoolExecutor(1) as thread, psycopg.connect(url) as winner:
        winner.execute('INSERT INTO "user" (id, email, is_active) VALUES (gen_random_uuid(), %s, true)', ["race@x.io"])
        loser = thread.submit(client.post, "/users", json={"email": "race@x.io"})
        until(lambda: postgres.scalar(waiting, project.database), message="nobody waits for the winner")
        winner.commit()
        assert loser.result().status_code == project.chosen(before=500, after=409)


@pytest.mark.slow
def test_a_connection_that_the_server_ended(project: Project, postgres: Postgres) -> None:
    """When the server ended every connection in a pause, the next request gets a 500 before, its answer after."""
    with project.side.serving(postgres.url(project.database)) as client:
        headers = signed_up(client, "sleeper@example.com")
        slept = time.monotonic()
        assert postgres.terminate_backends(project.database) > 0
        until(
            lambda: time.monotonic() > slept + TRUSTED, timeout=2 * TRUSTED
        )  # a connection just used is not looked at
        answers = [client.get("/users/me", headers=headers).status_code for _ in range(2)]
    assert answers == project.chosen(before=[500, 200], after=[200, 200])


@pytest.mark.slow
def test_a_database_that_is_not_there(side: Side) -> None:
    """Both start without one; a request gets a 500 before, and after a 503 that says when to try again."""
    with side.serving("postgresql://app:app@127.0.0.1:1/app") as client:
        answer = client.post("/users", json={"email": "early@example.com"})
        assert (answer.status_code, "Retry-After" in answer.headers) == ((500, False), (503, True))[side is AFTER]
        assert client.get("/livez").status_code == (404, 200)[side is AFTER]


@pytest.fixture(params=[BEFORE, AFTER], ids=lambda side: side.name)
def side(request: pytest.FixtureRequest) -> Side:
    """Return one side that needs no tables."""
    found: Side = request.param
    return found


def test_a_migration_through_a_pooler(side: Side, postgres: Postgres, pgbouncer: PgBouncer, database: str) -> None:
    """A migration goes through a transaction pooler without a word before, and is refused with the way out after."""
    done = side.run("alembic", "upgrade", "head", url=pgbouncer.url(database), DATABASE_POOLER="transaction")
    pgbouncer.forget(database)
    migrated = postgres.scalar("SELECT to_regclass('item') IS NOT NULL", database=database)
    assert (done.returncode == 0, migrated) == ((True, True) if side is BEFORE else (False, False))
    assert ("MIGRATION_DATABASE_URL" in done.stderr) is (side is AFTER)


def test_a_password_with_an_at_sign(side: Side, postgres: Postgres, database: str) -> None:
    """It is put into the URL as it is before, and nothing starts; after, it works."""
    postgres.execute("CREATE ROLE at_sign LOGIN SUPERUSER PASSWORD 'p@:/2'")
    try:
        url = postgres.url(database, user="at_sign", password="p@:/2")
        done = side.run("alembic", "current", url=url)
        assert (done.returncode == 0) is (side is AFTER), done.stderr
    finally:
        postgres.execute("DROP ROLE at_sign")
