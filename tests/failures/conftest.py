"""Databases of all four modes, opened on Neon's URLs."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from onetrip import Settings
from tests.contract.face import MODES, Face, Mode

Open = Callable[..., Face]


@pytest.fixture(params=MODES, ids=str)
def mode(request: pytest.FixtureRequest) -> Mode:
    """Run the test once in each mode."""
    return request.param


@pytest.fixture
async def open_neon(mode: Mode, neon_names: None) -> AsyncIterator[Open]:
    """Open databases of this mode on any URL, by default in production; closes them all."""
    opened: list[Face] = []

    def open_neon(url: str, **settings: Any) -> Face:
        given = {"database_url": url, "tier": "production", "driver": mode.driver} | settings
        opened.append(mode.open(Settings(**given)))
        return opened[-1]

    yield open_neon
    for face in opened:
        await face.close()
