"""The probe tells by trying what answers behind a URL, and leaves nothing behind."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from threading import Event
from typing import Any

import psycopg
import pytest

from onetrip._core.endpoint import Kind
from onetrip._core.url import parse_url
from onetrip._engine.probe import forget, probe
from tests.harness.pgbouncer import PgBouncer
from tests.harness.postgres import Postgres
from tests.harness.proxy import Proxy


@pytest.fixture(autouse=True)
def _fresh() -> None:
    forget()


@contextmanager
def pooler(postgres: Postgres, mode: Any, **settings: Any) -> Iterator[PgBouncer]:
    """Run a pooler for one test."""
    bouncer = PgBouncer(postgres, mode, **settings)
    try:
        bouncer.start()
        yield bouncer
    finally:
        bouncer.stop()
        bouncer.remove()


@contextmanager
def traffic(url: str, *, clients: int) -> Iterator[None]:
    """Have an application's clients run transactions for the time of a block."""
    ended = Event()

    def work() -> int:
        done = 0
        with psycopg.connect(url, prepare_threshold=None) as client:
            while not ended.is_set():
                client.execute("SELECT 1")
                client.commit()
                done += 1
        return done

    with ThreadPoolExecutor(clients) as threads:
        running = [threads.submit(work) for _ in range(clients)]
        try:
            yield
        finally:
            ended.set()
    assert all(task.result() for task in running)


def test_a_direct_server_keeps_everything(database_url: str) -> None:
    """Options arrive, statements survive, nothing leaks."""
    found = probe(parse_url(database_url))
    assert (found.kind, found.options_arrive, found.named_statements_survive, found.session_state_leaks) == (
        Kind.DIRECT,
        True,
        True,
        False,
    )


def test_a_transaction_pooler_is_recognised_by_the_process_it_hands_on(pooled_url: str) -> None:
    """PgBouncer refuses the option, loses statements, leaks settings, and each answer comes with its proof."""
    found = probe(parse_url(pooled_url))
    assert found.kind is Kind.TRANSACTION
    assert not found.options_arrive
    assert found.session_state_leaks
    assert not found.named_statements_survive
    kind, options, prepared, leak = found.proof
    assert "while the first was still connected" in kind
    assert "unsupported startup parameter" in options
    assert "already exists" in prepared
    assert "seen by the next one" in leak


@pytest.mark.parametrize("size", [1, 20])
def test_nothing_is_left_behind(postgres: Postgres, database: str, size: int) -> None:
    """After the probe no server connection of the pooler holds its setting or its statement, however many there are."""
    with pooler(postgres, "transaction", default_pool_size=size) as bouncer:
        url = bouncer.url(database)
        probe(parse_url(url))
        with psycopg.connect(url) as client:
            assert client.execute("SELECT current_setting('onetrip.probe', true)").fetchone() in {(None,), ("",)}
            assert client.execute("SELECT name FROM pg_prepared_statements").fetchall() == []
            locks = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
            assert client.execute(locks).fetchone() == (0,)


def test_a_busy_transaction_pooler_is_recognised_too(postgres: Postgres, database: str) -> None:
    """While an application's clients take each other's server connections, the answers are the same."""
    with pooler(postgres, "transaction", default_pool_size=3) as bouncer, traffic(bouncer.url(database), clients=6):
        found = probe(parse_url(bouncer.url(database)))
    assert found.kind is Kind.TRANSACTION, found.proof
    assert not found.named_statements_survive, found.proof


def test_nothing_is_left_behind_on_a_busy_pooler(postgres: Postgres, database: str) -> None:
    """Every server connection of the pooler is clean after a probe in the middle of traffic."""
    with pooler(postgres, "transaction", default_pool_size=3) as bouncer, ExitStack() as stack:
        with traffic(bouncer.url(database), clients=6):
            probe(parse_url(bouncer.url(database)))
        held = [stack.enter_context(psycopg.connect(bouncer.url(database))) for _ in range(3)]
        for client in held:  # each keeps its transaction open, so that all three server connections are seen
            assert client.execute("SELECT current_setting('onetrip.probe', true)").fetchone() in {(None,), ("",)}
            assert client.execute("SELECT name FROM pg_prepared_statements").fetchall() == []


def test_a_session_pooler_is_recognised_by_the_process_that_outlives_a_client(
    postgres: Postgres, database: str
) -> None:
    """Even if it drops the option without a word."""
    with pooler(postgres, "session", ignore_startup_parameters="options") as bouncer:
        found = probe(parse_url(bouncer.url(database)))
    assert (found.kind, found.options_arrive, found.named_statements_survive) == (Kind.SESSION, False, True)
    assert "dropped" in found.proof[1]
    assert not found.session_state_leaks


def test_a_session_pooler_without_a_reset_leaks(postgres: Postgres, database: str) -> None:
    """A pooler whose server_reset_query is empty hands the next client what the last one set; the probe removes it."""
    with pooler(postgres, "session", server_reset_query="") as bouncer:
        found = probe(parse_url(bouncer.url(database)))
        assert found.session_state_leaks
        with psycopg.connect(bouncer.url(database)) as client:
            assert client.execute("SELECT current_setting('onetrip.probe', true)").fetchone() in {(None,), ("",)}


def test_it_is_tried_once_in_a_process(postgres: Postgres, database_url: str) -> None:
    """The second question costs no connection; another user's endpoint is another one."""
    with Proxy(postgres.port) as proxy:
        url = parse_url(proxy.url(database_url))
        first = probe(url)
        accepted = proxy.accepted
        assert probe(url) is first
        assert proxy.accepted == accepted <= 3


def test_silence_ends_in_time(postgres: Postgres, database: str) -> None:
    """A pooler that has no server connection to give cannot hold the probe."""
    with (
        pooler(postgres, "transaction", default_pool_size=1) as bouncer,
        psycopg.connect(bouncer.url(database)) as holder,
    ):
        holder.execute("SELECT 1")
        with pytest.raises(psycopg.Error):
            probe(parse_url(bouncer.url(database)), timeout=1.0)
