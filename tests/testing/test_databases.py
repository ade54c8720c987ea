"""Runs share a server without meeting, and leave nothing there."""

import signal
import threading

import pytest
from sqlalchemy import text

from onetrip import Settings
from onetrip.testing._databases import Databases
from onetrip.testing._worker import Worker
from tests.harness.postgres import Postgres
from tests.harness.wait import until

from .conftest import Project, kit_databases
from .models import make_schema

CONFTEST = """
    from sqlmodel import SQLModel, Field
    pytest_plugins = ["onetrip.testing"]

    class Thing(SQLModel, table=True):
        id: int | None = Field(default=None, primary_key=True)
"""


@pytest.fixture
def environment(server: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    """Point this process at the server."""
    monkeypatch.setenv("DATABASE_URL", server.url())


def test_workers_of_a_run_share_one_template(
    environment: None, consent: str, server: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four workers that start at once migrate once, each has a database of its own, and the last one removes all."""
    monkeypatch.setenv("PYTEST_XDIST_TESTRUNUID", "5eed" * 8)
    made: list[str] = []
    urls: list[str] = []
    together = threading.Barrier(4)

    def schema(url: str) -> None:
        made.append(url)
        make_schema(url)

    def work() -> None:
        databases = Databases(consent)
        together.wait()
        databases.ensure_template(schema)
        name = databases.clone()
        urls.append(databases.url(name))
        together.wait()
        databases.drop(name)
        databases.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
    assert len(set(urls)) == 4
    assert kit_databases(server) == []


def test_two_runs_at_once_do_not_meet(environment: None, consent: str) -> None:
    """A second run neither uses nor sweeps what the first one has."""
    with Worker(consent, make_schema) as one, Worker(consent, make_schema) as two:
        names = [stage_name(worker) for worker in (one, two)]
        assert names[0] != names[1]


def stage_name(worker: Worker) -> str:
    """Use a worker and return the name of its database."""
    with worker.test((), committed=False) as stage, stage.database() as db:
        name: str = db.fetch_value(text("SELECT current_database()::text"))
        return name


def test_a_schema_that_fails_leaves_nothing(environment: None, consent: str, server: Postgres) -> None:
    """The error of the user's own function comes through, and the half-made template is gone."""

    def broken(url: str) -> None:
        raise ZeroDivisionError(Settings(database_url=url).url.database)

    with pytest.raises(ZeroDivisionError, match="template"), Worker(consent, broken):
        pass
    assert kit_databases(server) == []


def test_what_a_killed_run_left_is_removed_by_the_next_one(
    project: Project, environment: None, consent: str, server: Postgres
) -> None:
    """A run that was killed leaves databases; a run that begins later removes them, and those of no living run."""
    project.write(
        conftest=CONFTEST,
        test_it="""
            import os, pathlib, signal
            def test_sleeps(db):
                db.ping()
                pathlib.Path("here").touch()
                signal.pause()
        """,
    )
    process = project.start()
    until((project.folder / "here").exists, timeout=60)
    left = kit_databases(server, living=True)
    assert len(left) == 2
    Databases(consent).close()
    assert kit_databases(server, living=True) == left  # it lives
    process.send_signal(signal.SIGKILL)
    process.communicate()
    until(lambda: not server.backends(left[0]) and not server.backends(left[1]))
    Databases(consent).close()
    assert kit_databases(server) == []
