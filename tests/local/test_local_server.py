"""`LocalServer` in a program's own hands: a throw-away server for a test run."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import psycopg
import psycopg2
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

from onetrip.errors import LocalServerFailed
from onetrip.local import LocalServer
from tests.local.project import query


@pytest.fixture
def folder() -> Iterator[Path]:
    """Give an empty folder that the server's user can reach."""
    made = Path(tempfile.mkdtemp(prefix="onetrip-test-", dir="/tmp"))
    yield made
    shutil.rmtree(made)


def test_a_block_holds_a_server_with_its_own_settings(folder: Path) -> None:
    """Inside the block there is a server with the given settings, afterwards there is none."""
    with LocalServer(folder, settings={"fsync": "off", "max_connections": "50"}) as server:
        assert query(server.url(), "SHOW fsync") == "off"
        assert query(server.url("postgres", superuser=True), "SHOW max_connections") == "50"
        assert server.status().running
    assert not server.status().running
    with pytest.raises(LocalServerFailed, match="no server is running"):
        server.url()


def test_data_are_written_through_by_default(folder: Path) -> None:
    """A development database survives a power cut: fsync is on."""
    with LocalServer(folder) as server:
        assert query(server.url(), "SHOW fsync") == "on"


def test_two_users_in_one_process_share(folder: Path) -> None:
    """The first to leave does not end the server of the second."""
    with LocalServer(folder) as first:
        second = LocalServer(folder)
        assert second.start() is False
        second.release()
        assert query(first.url(), "SELECT 1") == 1


def test_start_twice_is_start_once(folder: Path) -> None:
    """A second start of the same object is no second user."""
    server = LocalServer(folder)
    assert [server.start(), server.start()] == [True, False]
    server.release()
    assert not server.status().running


async def test_the_url_works_for_every_driver(folder: Path) -> None:
    """psycopg, psycopg2 and asyncpg take the URL as it is."""
    with LocalServer(folder) as server:
        with psycopg.connect(server.url()) as modern:
            assert modern.execute("SELECT 1").fetchone() == (1,)
        classic = psycopg2.connect(server.url())
        classic.close()
        fast = await asyncpg.connect(server.url())
        assert await fast.fetchval("SELECT 1") == 1
        await fast.close()
