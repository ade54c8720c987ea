"""Databases of all four modes, on servers that may be broken."""

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from onetrip import Settings
from tests.contract.face import MODES, Face, Mode
from tests.failures.book import TABLE
from tests.harness.loop import sockets_closed
from tests.harness.neon import NeonProxy
from tests.harness.pgbouncer import PgBouncer
from tests.harness.postgres import Postgres

Open = Callable[..., Face]


@pytest.fixture(params=MODES, ids=str)
def mode(request: pytest.FixtureRequest) -> Mode:
    """Run the test once in each mode."""
    return request.param


@pytest.fixture
async def opened(mode: Mode, request: pytest.FixtureRequest) -> AsyncIterator[Open]:
    """Open databases of this mode; closes them all, before the test's own database goes."""
    faces: list[Face] = []
    for name in {"database", "frail_database"} & set(request.fixturenames):
        request.getfixturevalue(name)

    def open_face(url: str, **settings: Any) -> Face:
        given = {"database_url": url, "tier": "test", "driver": mode.driver} | settings
        faces.append(mode.open(Settings(**given)))
        return faces[-1]

    yield open_face
    for face in faces:
        await face.close()
    await sockets_closed()


@pytest.fixture
def on_the_floor(mode: Mode) -> None:
    """Skip where the stock dialect is underneath: it promises less."""
    face = mode.open(Settings(database_url="postgresql://nobody@127.0.0.1/nothing", driver=mode.driver, tier="test"))
    if not face.db._runtime.leaves_freely:
        pytest.skip(f"stock dialect under {mode}")


@pytest.fixture
def open_trip(on_the_floor: None, opened: Open) -> Open:
    """Open databases that stand on the network floor."""
    return opened


@pytest.fixture
def open_neon(opened: Open, neon_names: None) -> Open:
    """Open databases of this mode on any URL, by default in production; closes them all."""
    return lambda url, **settings: opened(url, **{"tier": "production"} | settings)


@pytest.fixture
def frail(sleepy_neon: NeonProxy) -> Postgres:
    """Serve a PostgreSQL that a test may stop, restart and rob of its backends; it runs when the test begins."""
    server, pooler = sleepy_neon.postgres, sleepy_neon.pgbouncer
    assert pooler
    if not server.running:
        server.start()
    if not pooler.running:
        pooler.start()
    sleepy_neon.asleep = False
    return server


@pytest.fixture
def frail_pooler(frail: Postgres, sleepy_neon: NeonProxy) -> PgBouncer:
    """Pool transactions before ``frail``; a test may kill it."""
    assert sleepy_neon.pgbouncer
    return sleepy_neon.pgbouncer


@pytest.fixture
def frail_database(frail: Postgres, frail_pooler: PgBouncer) -> Iterator[str]:
    """Give a database of ``frail`` with the table ``written``; whoever stays connected is a defect."""
    with frail.lent_database() as name:
        frail.execute(TABLE, database=name)
        yield name
        frail_pooler.free(name)


@pytest.fixture
def written(postgres: Postgres, database: str) -> str:
    """Give a database of the run's own server with the table ``written``."""
    postgres.execute(TABLE, database=database)
    return database
