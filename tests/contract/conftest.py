"""A database with one table, opened in each of the four modes, on each target."""

from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from onetrip import Settings
from tests.contract.face import MODES, Face, Mode
from tests.contract.models import TABLE
from tests.contract.targets import ALONE, DEFAULT, EVERY, Target
from tests.harness.pgbouncer import PgBouncer
from tests.harness.postgres import APP, Postgres


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Ask no other target what no server is asked."""

    def is_asked(item: pytest.Item) -> bool:
        target = item.callspec.params.get("target", DEFAULT) if isinstance(item, pytest.Function) else DEFAULT
        return target is DEFAULT or item.originalname not in ALONE

    items[:] = [item for item in items if is_asked(item)]


@pytest.fixture(params=EVERY)
def target(request: pytest.FixtureRequest) -> Target:
    """Run the test once on each target."""
    return request.param


@pytest.fixture(params=MODES, ids=str)
def mode(request: pytest.FixtureRequest) -> Mode:
    """Run the test once in each mode."""
    return request.param


@pytest.fixture
def door(request: pytest.FixtureRequest, target: Target) -> Postgres | PgBouncer:
    """Serve what clients of the target connect to."""
    return request.getfixturevalue(target.door)


@pytest.fixture
def server(door: Postgres | PgBouncer) -> Postgres:
    """Give the PostgreSQL at the end of the way."""
    return door.upstream if isinstance(door, PgBouncer) else door


@pytest.fixture
def database(door: Postgres | PgBouncer, server: Postgres) -> Iterator[str]:
    """Lend a database that has the table ``account``."""
    with server.lent_database() as name:
        server.execute(f"SET ROLE {APP}; {TABLE}", database=name)
        yield name
        if isinstance(door, PgBouncer):
            door.free(name)


@pytest.fixture
def url_of(door: Postgres | PgBouncer, server: Postgres, target: Target) -> Callable[..., str]:
    """Say how a client writes the URL of a database."""
    return lambda database, **parts: door.url(database, **{**target.query(server), **parts})


@pytest.fixture
def url(url_of: Callable[..., str], database: str) -> str:
    """Give the URL of the test's own database."""
    return url_of(database)


@pytest.fixture
async def open_face(mode: Mode, target: Target, url: str) -> AsyncIterator[Callable[..., Face]]:
    """Open databases of this mode with settings of the test's own; closes them all."""
    opened: list[Face] = []

    def open_face(**settings: object) -> Face:
        given = {"database_url": url, "tier": "test", "driver": mode.driver, "pooler": target.pooler} | settings
        opened.append(mode.open(Settings(**given)))
        return opened[-1]

    yield open_face
    for face in opened:
        await face.close()


@pytest.fixture
def db(open_face: Callable[..., Face]) -> Face:
    """Open a database with the settings of the test tier."""
    return open_face()
