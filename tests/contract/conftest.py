"""A database with one table, opened in each of the four modes, on each target."""

from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from onetrip import Settings
from tests.contract.face import MODES, Face, Mode
from tests.contract.models import TABLE
from tests.contract.targets import ALONE, DEFAULT, EVERY, Door, Target, pooler_behind, server_behind
from tests.harness.loop import sockets_closed
from tests.harness.postgres import APP, Postgres
from tests.harness.wait import until

AS_NEW = f"""
    ALTER DATABASE {{database}} RESET ALL;
    DROP SCHEMA public CASCADE;
    CREATE SCHEMA public AUTHORIZATION pg_database_owner;
    GRANT USAGE ON SCHEMA public TO PUBLIC;
    SET ROLE {APP};
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Ask no other target what no server is asked."""

    def is_asked(item: pytest.Item) -> bool:
        parameters = item.callspec.params if hasattr(item, "callspec") else {}
        return parameters.get("target", DEFAULT) is DEFAULT or item.originalname not in ALONE

    items[:] = [item for item in items if is_asked(item)]


@pytest.fixture(params=EVERY, ids=str)
def target(request: pytest.FixtureRequest) -> Target:
    """Run the test once on each target."""
    return request.param


@pytest.fixture(params=MODES, ids=str)
def mode(request: pytest.FixtureRequest) -> Mode:
    """Run the test once in each mode."""
    return request.param


@pytest.fixture
def one_trip_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put SQLAlchemy's own dialects underneath, as a user does."""
    monkeypatch.setenv("DATABASE_ONE_TRIP", "off")


@pytest.fixture
def door(request: pytest.FixtureRequest, target: Target) -> Door:
    """Serve what clients of the target connect to."""
    if target.needs:
        request.getfixturevalue(target.needs)
    return request.getfixturevalue(target.door)


@pytest.fixture
def server(door: Door) -> Postgres:
    """Give the PostgreSQL at the end of the way."""
    return server_behind(door)


@pytest.fixture(scope="session")
def databases() -> dict[str, str]:
    """Remember each target's database: making one for every test would take longer than the tests."""
    return {}


@pytest.fixture
def database(door: Door, server: Postgres, target: Target, databases: dict[str, str]) -> Iterator[str]:
    """Give a database with the table ``account`` and nothing else; whoever stays connected is a defect."""
    if target.name not in databases:
        databases[target.name] = server.create_database()
    name = databases[target.name]
    server.execute(AS_NEW.format(database=name) + TABLE, database=name)
    yield name
    if pooler := pooler_behind(door):
        pooler.free(name)
    try:
        until(lambda: not server.backends(name), message=lambda: f"left open: {server.backends(name)}")
    except AssertionError:
        server.terminate_backends(name)
        raise


@pytest.fixture
def url_of(door: Door, server: Postgres, target: Target) -> Callable[..., str]:
    """Say how a client writes the URL of a database."""
    return lambda database, **parts: door.url(database, **{**target.writes(server), **parts})


@pytest.fixture
def url(url_of: Callable[..., str], database: str) -> str:
    """Give the URL of the test's own database."""
    return url_of(database)


@pytest.fixture
async def open_face(mode: Mode, url: str, request: pytest.FixtureRequest) -> AsyncIterator[Callable[..., Face]]:
    """Open databases of this mode with settings of the test's own; closes them all."""
    opened: list[Face] = []
    # Not an argument: tests with a URL of their own do not run on every target.
    pooler = request.getfixturevalue("target").pooler if "target" in request.fixturenames else "auto"

    def open_face(**settings: object) -> Face:
        given = {"database_url": url, "tier": "test", "driver": mode.driver, "pooler": pooler} | settings
        opened.append(mode.open(Settings(**given)))
        return opened[-1]

    yield open_face
    for face in opened:
        await face.close()
    await sockets_closed()


@pytest.fixture
def db(open_face: Callable[..., Face]) -> Face:
    """Open a database with the settings of the test tier."""
    return open_face()
