"""A table to measure on, direct and through each pooler."""

from collections.abc import Iterator

import pytest

from bench.table import Table
from bench.work import MODES, TABLE, Mode
from tests.contract.targets import DEFAULT, POOLERS, Target
from tests.harness.pgbouncer import PgBouncer
from tests.harness.postgres import APP, Postgres

TARGETS = {target.name: target for target in (DEFAULT, *POOLERS[:1], *POOLERS[2:4])}


@pytest.fixture(scope="module", params=MODES, ids=str)
def mode(request: pytest.FixtureRequest) -> Mode:
    """Run the test once in each mode."""
    return request.param


@pytest.fixture(scope="module", params=[DEFAULT.name])
def target(request: pytest.FixtureRequest) -> Target:
    """Measure direct unless a test names poolers."""
    return TARGETS[request.param]


@pytest.fixture(scope="module")
def database(postgres: Postgres) -> Iterator[str]:
    """Lend a database with one table."""
    with postgres.lent_database() as name:
        postgres.execute(f"SET ROLE {APP}; {TABLE}", database=name)
        yield name


@pytest.fixture
def table(request: pytest.FixtureRequest, database: str, target: Target) -> Iterator[Table]:
    """Give the table; every client has left when the test ends."""
    door: Postgres | PgBouncer = request.getfixturevalue(target.door)
    with Table(door.url(database), pooled=target is not DEFAULT).open() as table:
        yield table
    if isinstance(door, PgBouncer):
        door.free(database)
