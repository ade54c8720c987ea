"""What a Neon URL becomes is what Neon's proxy lets through: on every driver, directly and through its pooler."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from sqlalchemy import text

from onetrip import Settings, errors
from onetrip._core.endpoint import direct_twin, pooled_twin
from onetrip._core.url import parse_url
from tests.contract.face import MODES, Face, Mode
from tests.harness.neon import NeonProxy

TIMEOUT = text("SHOW statement_timeout")
Opened = Callable[..., Face]


@pytest.fixture(params=MODES, ids=str)
def mode(request: pytest.FixtureRequest) -> Mode:
    """Run the test once in each mode."""
    return request.param


@pytest.fixture
async def opened(mode: Mode, database: str, pooled_url: str) -> AsyncIterator[Opened]:
    """Open databases of this mode; closes them all, before the server looks who is left."""
    faces: list[Face] = []

    def opened(url: str, **settings: Any) -> Face:
        faces.append(mode.open(Settings(database_url=url, driver=mode.driver, tier="test", **settings)))
        return faces[-1]

    yield opened
    for face in faces:
        await face.close()


@pytest.mark.parametrize("pooled", [False, True], ids=["direct", "pooled"])
async def test_the_time_outs_hold(opened: Opened, neon_url: str, neon_pooled_url: str, *, pooled: bool) -> None:
    """Where start-up parameters vanish without a word, ours arrive: in options, or with each transaction."""
    db = opened(neon_pooled_url if pooled else neon_url, statement_timeout=7, idle_in_transaction_timeout=8)
    assert await db.fetch_value(TIMEOUT) == "7s"
    async with db.transaction() as session:
        idle = await session.exec(text("SHOW idle_in_transaction_session_timeout"))
        assert idle.scalar() == "8s"


async def test_options_of_the_url_arrive_on_a_direct_connection(opened: Opened, neon_url: str) -> None:
    """The user's own come first, and ours do not override them."""
    db = opened(neon_url + "&options=-c%20search_path%3Dshop%20-c%20statement_timeout%3D5000", statement_timeout=7)
    assert await db.fetch_value(text("SHOW search_path")) == "shop"
    assert await db.fetch_value(TIMEOUT) == "5s"


@pytest.mark.parametrize("pooled", [False, True], ids=["direct", "pooled"])
async def test_the_endpoint_may_stand_in_options(
    opened: Opened, neon: NeonProxy, neon_url: str, neon_pooled_url: str, *, pooled: bool
) -> None:
    """``options=endpoint%3D…`` beside the host, as Neon's manual has it, works with every driver; so does its twin."""
    given = parse_url(neon_pooled_url if pooled else neon_url)
    url = given.with_params(options=f"endpoint={given.hosts[0].name.partition('.')[0]}")
    twin = (direct_twin if pooled else pooled_twin)(url)
    assert twin is not None
    for one in (url, twin):
        assert await opened(one.render()).fetch_value(text("SELECT 1")) == 1


async def test_the_endpoint_may_stand_in_options_alone(opened: Opened, neon: NeonProxy, database: str) -> None:
    """An address has no name to tell the endpoint by: then the option decides, and ``require`` is what can hold."""
    options = f"endpoint%3D{neon.endpoint}"
    url = neon.url(database, host="127.0.0.1", channel_binding=None) + f"&options={options}"
    db = opened(url, statement_timeout=7)
    assert await db.fetch_value(TIMEOUT) == "7s"
    assert (db.settings.endpoint.provider, db.settings.endpoint.kind) == ("neon", "direct")


async def test_what_the_pooler_refuses_is_refused_before(opened: Opened, neon_pooled_url: str) -> None:
    """Settings say what the pooler would have said; who says that there is none gets to hear it from the pooler."""
    url = neon_pooled_url + "&options=-c%20search_path%3Dshop"
    with pytest.raises(errors.ConfigurationError, match="unsupported startup parameter in options: search_path"):
        opened(url)
    with pytest.raises(errors.StartupRefused, match="unsupported startup parameter"):
        await opened(url, pooler="none").fetch_value(text("SELECT 1"))
