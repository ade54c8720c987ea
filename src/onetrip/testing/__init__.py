"""A pytest plugin: each worker its own migrated database, each test its own transaction, nothing else ever touched.

In ``conftest.py``::

    pytest_plugins = ["onetrip.testing"]

Fixtures to use: ``db``, ``async_db``, ``onetrip_url``, ``trip_budget``. Fixtures to override: ``onetrip_databases``
(the application's own Database objects) and ``onetrip_schema``. Marker: ``committed``. Nothing heavy is imported before
a fixture is used.

PYTEST_DONT_REWRITE: a conftest.py that imports ``require_disposable`` as well must not be warned.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from onetrip import AsyncDatabase, Database
    from onetrip.testing._budget import TripBudget
    from onetrip.testing._marker import require_disposable
    from onetrip.testing._worker import Stage, Worker

__all__ = ["require_disposable"]


def __getattr__(name: str) -> Any:
    if name == "require_disposable":
        return import_module("onetrip.testing._marker").require_disposable
    raise AttributeError(f"module 'onetrip.testing' has no attribute {name!r}")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the consent as a setting of pytest."""
    parser.addini("onetrip_test_server", "host:port of the server on which tests may create databases")


def pytest_configure(config: pytest.Config) -> None:
    """Add the marker."""
    config.addinivalue_line("markers", "committed: give the test a database of its own, where commits are real")


def pytest_sessionstart(session: pytest.Session) -> None:
    """Refuse a run whose DATABASE_URL leads to a server that is not there for tests, before any test is imported."""
    from onetrip.errors import OnetripError
    from onetrip.testing._server import require_consent, run_settings

    try:
        require_consent(run_settings(), _consent(session.config))
    except OnetripError as error:
        raise pytest.UsageError(str(error)) from None


def _consent(config: pytest.Config) -> str:
    return os.environ.get("ONETRIP_TEST_SERVER") or str(config.getini("onetrip_test_server") or "")


@pytest.fixture(scope="session")
def onetrip_schema(pytestconfig: pytest.Config) -> Callable[[str], None]:
    """Return a function that makes the schema in the empty database at a URL; override it for a way of your own.

    This one runs ``alembic upgrade head`` if the project has an ``alembic.ini``, else ``SQLModel.metadata.create_all``.
    """
    from onetrip.testing._schema import default_schema

    return lambda url: default_schema(url, pytestconfig.rootpath)


@pytest.fixture(scope="session")
def onetrip_databases() -> Sequence[Database | AsyncDatabase]:
    """Return the application's own Database objects; override it, and every test has them on the test's database."""
    return ()


@pytest.fixture
def onetrip_url(onetrip_test: Stage) -> str:
    """Return the URL of the database that the test works on; other connections see only what is committed there."""
    return onetrip_test.url


@pytest.fixture
def db(onetrip_test: Stage) -> Iterator[Database]:
    """Give a Database inside the transaction of this test."""
    with onetrip_test.database() as database:
        yield database


@pytest.fixture
def async_db(onetrip_test: Stage) -> Iterator[AsyncDatabase]:
    """Give an AsyncDatabase inside the transaction of this test, for any event loop."""
    with onetrip_test.async_database() as database:
        yield database


@pytest.fixture
def trip_budget(onetrip_test: Stage) -> TripBudget:
    """Give a limit for the network trips of a block, to be called with how many it may take; ``exactly=`` is exact.

    Only a real transaction has real trips: the test gets a database of its own, as if it were marked ``committed``.
    """
    from onetrip.testing._budget import TripBudget

    if onetrip_test.relay is None:
        raise pytest.UsageError("trip_budget came too late: name it as an argument of the test, or in usefixtures")
    return TripBudget(onetrip_test.relay, one_trip=onetrip_test.one_trip)


@pytest.fixture
def onetrip_test(
    request: pytest.FixtureRequest, onetrip_worker: Worker, onetrip_databases: Sequence[Any]
) -> Iterator[Stage]:
    """Open the transaction of this test, or make its own database if it is marked ``committed`` or counts trips."""
    committed = request.node.get_closest_marker("committed") is not None
    counted = "trip_budget" in request.fixturenames
    with onetrip_worker.test(onetrip_databases, committed=committed, counted=counted) as test:
        yield test


@pytest.fixture(scope="session")
def onetrip_worker(
    pytestconfig: pytest.Config, onetrip_schema: Callable[[str], None], onetrip_databases: Sequence[Any]
) -> Iterator[Worker]:
    """Make the database of this worker; outside of tests the application's Database objects work on it as well."""
    from onetrip.testing._worker import Worker

    with Worker(_consent(pytestconfig), onetrip_schema) as worker, worker.session(onetrip_databases):
        yield worker


@pytest.fixture(scope="session", autouse=True)
def _onetrip_session(request: pytest.FixtureRequest, onetrip_databases: Sequence[Any]) -> None:
    # A session-wide fixture of the user's, a client with its lifespan, must not reach the database of DATABASE_URL.
    if onetrip_databases:
        request.getfixturevalue("onetrip_worker")


@pytest.fixture(autouse=True)
def _onetrip_each_test(request: pytest.FixtureRequest, onetrip_databases: Sequence[Any]) -> None:
    # A test that forgets to ask for `db` must not reach it either.
    if onetrip_databases:
        request.getfixturevalue("onetrip_test")
