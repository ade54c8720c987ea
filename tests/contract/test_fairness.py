"""Who shares a pooler's few server connections with busy clients gets one in time."""

import asyncio
from collections.abc import Callable

import pytest
from sqlalchemy import text

from tests.contract.face import Face
from tests.contract.targets import POOLERS, Door, pooler_behind

ONE = text("SELECT 1")


@pytest.mark.parametrize("target", [POOLERS[0]], indirect=True, ids=str)
async def test_a_busy_reader_lets_others_have_the_server(open_face: Callable[..., Face], door: Door) -> None:
    """Sessions that follow each other without a pause do not keep a pooler's only server connection for ever."""
    pooler = pooler_behind(door)
    assert pooler
    busy, other = open_face(pool_max=1), open_face(pool_max=1)

    async def read_on() -> None:
        while True:
            async with busy.read() as session:
                await session.exec(ONE)

    with pooler.changed(default_pool_size=1):
        await busy.fetch_value(ONE)
        reading = asyncio.ensure_future(read_on())
        try:
            async with asyncio.timeout(10):
                for _ in range(3):
                    assert await other.fetch_value(ONE) == 1
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
