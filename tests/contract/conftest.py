"""A database with one table, opened in each of the four modes."""

from collections.abc import AsyncIterator, Callable

import psycopg
import pytest

from onetrip import Settings
from tests.contract.face import MODES, Face, Mode
from tests.contract.models import TABLE


@pytest.fixture(params=MODES, ids=str)
def mode(request: pytest.FixtureRequest) -> Mode:
    """Run the test once in each mode."""
    return request.param


@pytest.fixture
def url(database_url: str) -> str:
    """Give the URL of a database that has the table ``account``."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(TABLE)
    return database_url


@pytest.fixture
async def open_face(mode: Mode, url: str) -> AsyncIterator[Callable[..., Face]]:
    """Open databases of this mode with settings of the test's own; closes them all."""
    opened: list[Face] = []

    def open_face(**settings: object) -> Face:
        given = {"database_url": url, "tier": "test", "driver": mode.driver} | settings
        opened.append(mode.open(Settings(**given)))
        return opened[-1]

    yield open_face
    for face in opened:
        await face.close()


@pytest.fixture
def db(open_face: Callable[..., Face]) -> Face:
    """Open a database with the settings of the test tier."""
    return open_face()
