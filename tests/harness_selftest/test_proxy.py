"""The proxy fails the way each of its methods says."""

import time
from collections.abc import Iterator

import psycopg
import pytest

from tests.harness.postgres import Postgres
from tests.harness.proxy import Proxy
from tests.harness.wait import until


@pytest.fixture
def proxy(postgres: Postgres) -> Iterator[Proxy]:
    """Stand before the server."""
    with Proxy(postgres.port) as proxy:
        yield proxy


@pytest.fixture
def url(proxy: Proxy, database_url: str) -> str:
    """Reach the test's database through the proxy, with little patience."""
    return proxy.url(database_url) + "?connect_timeout=2"


def test_bytes_pass_untouched(proxy: Proxy, url: str) -> None:
    """A megabyte comes back as it went, and the connection is counted."""
    blob = bytes(range(256)) * 4096
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT %s::bytea", [blob]).fetchone()
        assert row == (blob,)
        assert (proxy.accepted, proxy.open_links) == (1, 1)
    until(lambda: proxy.open_links == 0)


def test_delay_is_paid_once_in_each_direction(proxy: Proxy, url: str) -> None:
    """One trip at 50 ms each way takes 100 ms, however many bytes it carries."""
    with psycopg.connect(url, autocommit=True) as connection:
        proxy.delay = 0.05
        start = time.perf_counter()
        connection.execute("SELECT repeat('x', 1000000)")
        assert 0.1 <= time.perf_counter() - start < 0.3
        proxy.delay = 0


@pytest.mark.parametrize("reset", [True, False], ids=["reset", "end of file"])
def test_cut_ends_open_connections_and_serves_new_ones(proxy: Proxy, url: str, *, reset: bool) -> None:
    """The client notices at its next statement."""
    with psycopg.connect(url) as connection:
        proxy.cut(reset=reset)
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
    psycopg.connect(url).close()


def test_stop_refuses_until_start(proxy: Proxy, url: str) -> None:
    """A stopped proxy is a server that is gone; its port stays its own."""
    proxy.stop()
    with pytest.raises(psycopg.OperationalError, match="refused"):
        psycopg.connect(url)
    proxy.start()
    psycopg.connect(url).close()


def test_deaf_is_silent_until_hear(proxy: Proxy, url: str) -> None:
    """A deaf proxy accepts and says nothing: only the client's own patience ends the wait."""
    proxy.deaf()
    with pytest.raises(psycopg.errors.ConnectionTimeout):
        psycopg.connect(url)
    assert proxy.accepted == 1
    proxy.hear()
    psycopg.connect(url).close()


def test_drop_loses_the_answer_but_not_the_request(proxy: Proxy, url: str, postgres: Postgres, database: str) -> None:
    """A statement whose answer is lost has happened, and the client still waits."""
    connection = psycopg.connect(url, autocommit=True)
    proxy.drop(requests=False)
    connection.pgconn.send_query(b"CREATE TABLE happened ()")
    until(lambda: postgres.scalar("SELECT to_regclass('happened') IS NOT NULL", database=database))
    assert connection.pgconn.is_busy()
    proxy.cut()
    connection.close()
