"""A worker of the test kit inside this very run, and sample projects whose tests run in a process of their own."""

import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from onetrip import AsyncDatabase, Database
from onetrip.testing._worker import Stage, Worker
from tests.contract.face import Face
from tests.harness.postgres import Postgres

from .models import make_schema


@pytest.fixture(scope="session")
def server(postgres: Postgres) -> Postgres:
    """Serve PostgreSQL with a role to switch to."""
    postgres.execute("CREATE ROLE kit_reader NOLOGIN")
    postgres.execute("GRANT kit_reader TO app")
    return postgres


@pytest.fixture(scope="session")
def consent(server: Postgres) -> str:
    """Return the words that allow tests on this server."""
    return f"127.0.0.1:{server.port}"


@pytest.fixture(scope="module")
def blocking_driver() -> str:
    """Name the driver that the user's environment asks for."""
    return "psycopg"


@pytest.fixture(scope="module")
def worker(server: Postgres, consent: str, blocking_driver: str) -> Iterator[Worker]:
    """Be a worker of a test run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DATABASE_URL", server.url())
        patch.setenv("DATABASE_DRIVER", blocking_driver)
        with Worker(consent, make_schema) as worker:
            yield worker


@pytest.fixture
def stage(worker: Worker) -> Iterator[Stage]:
    """Be inside one rolled-back test."""
    with worker.test((), committed=False) as stage:
        yield stage


@pytest.fixture
def db(stage: Stage) -> Iterator[Database]:
    """Open a blocking database."""
    with stage.database() as db:
        yield db


@pytest.fixture
def async_db(stage: Stage) -> Iterator[AsyncDatabase]:
    """Open an asyncio one."""
    with stage.async_database() as db:
        yield db


@pytest.fixture(params=["sync", "async"])
def face(request: pytest.FixtureRequest, stage: Stage) -> Iterator[Face]:
    """Open either, to be awaited."""
    with stage.database() if request.param == "sync" else stage.async_database() as db:
        yield Face(db)


@dataclass
class Project:
    """A project of a user: files in a folder, and pytest."""

    folder: Path
    environment: Mapping[str, str]

    def write(self, **files: str) -> None:
        """Write ``name="…"`` as name.py."""
        for name, content in files.items():
            (self.folder / f"{name}.py").write_text(textwrap.dedent(content))

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        """Start pytest."""
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env={**self.environment, **environment},
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def pytest(self, *arguments: str, **environment: str) -> tuple[int, str]:
        """Run pytest; return its exit code and what it said."""
        process = self.start(*arguments, **environment)
        said, _ = process.communicate(timeout=100)
        return process.returncode, said


INI = """
[pytest]
asyncio_mode = auto
asyncio_default_fixture_loop_scope = function
filterwarnings =
    error
    ignore:Using .httpx. with .starlette.testclient. is deprecated
"""


@pytest.fixture
def project(tmp_path: Path, server: Postgres, consent: str) -> Iterator[Project]:
    """Start a project whose tests may use our server; nothing of it is left there afterwards."""
    (tmp_path / "pytest.ini").write_text(INI)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "COV"))}
    yield Project(tmp_path, kept | {"DATABASE_URL": server.url(), "ONETRIP_TEST_SERVER": consent})
    assert kit_databases(server) == []


def kit_databases(server: Postgres, *, living: bool = False) -> list[str]:
    """Name the kit's databases whose run is over, or all of them."""
    return server.scalar(
        """
        SELECT coalesce(array_agg(datname::text ORDER BY datname), '{}') FROM pg_database AS made
        WHERE datname LIKE 'onetrip%%' AND (%s OR NOT EXISTS (
            SELECT FROM pg_stat_activity
            WHERE application_name = 'onetrip-testing-' || split_part(made.datname, '_', 2)))
        """,
        living,
    )
