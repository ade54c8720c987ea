"""A database with one connection behind each door, and the next user of that connection."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.contract.attack import arena
from tests.contract.attack.doors import DIRECT, Door
from tests.contract.face import Face
from tests.harness.pgbouncer import PgBouncer, recent
from tests.harness.postgres import Postgres


@pytest.fixture(scope="package")
def narrow(postgres: Postgres) -> Iterator[PgBouncer]:
    """Pool transactions on one server connection: each client is the next user of the other's."""
    yield from _served(PgBouncer(postgres, default_pool_size=1))


@pytest.fixture(scope="package")
def narrow_recent(postgres: Postgres) -> Iterator[PgBouncer]:
    """Do the same with a pooler that follows prepared statements."""
    yield from _served(
        PgBouncer(postgres, program=recent(), default_pool_size=1, max_prepared_statements=1000),
    )


def _served(pooler: PgBouncer) -> Iterator[PgBouncer]:
    try:
        pooler.start()
        yield pooler
    finally:
        pooler.stop()
        pooler.remove()


@pytest.fixture(scope="package")
def database_of(postgres: Postgres) -> Iterator[Callable[[Door], str]]:
    """Make the database behind a door when it is first asked for."""
    made: dict[str, str] = {}
    with ExitStack() as stack:
        stack.enter_context(arena.roles(postgres))

        def database_of(door: Door) -> str:
            if door.name not in made:
                made[door.name] = stack.enter_context(arena.target(postgres, door.name, door.encoding, door.settings))
            return made[door.name]

        yield database_of


@pytest.fixture
def door() -> Door:
    """Go straight to an ordinary server, where a test does not say otherwise."""
    return DIRECT


@pytest.fixture
def database(postgres: Postgres) -> Iterator[str]:
    """Lend a database on the server that these tests ask."""
    with postgres.lent_database() as name:
        yield name


@pytest.fixture
def url(door: Door, database_of: Callable[[Door], str], postgres: Postgres, request: pytest.FixtureRequest) -> str:
    """Give the URL that leads through the door."""
    server = request.getfixturevalue(door.pooler) if door.pooler else postgres
    query = door.query | ({"pgbouncer": "true"} if door.pooler else {})
    return server.url(database_of(door), **query)


@pytest.fixture
def db(open_face: Callable[..., Face]) -> Face:
    """Open a database with one connection, so that everybody is the next user of it."""
    return open_face(pool_max=1)


@pytest.fixture
def other(open_face: Callable[..., Face], door: Door, db: Face) -> Face:
    """Give the next user of the server's connection: another client behind a pooler, the same one elsewhere."""
    return open_face(pool_max=1) if door.pooler else db
