"""The relay counts what a client waits for, on every driver, and is a network like any other."""

import asyncio
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import psycopg
import psycopg2
import pytest

from onetrip._core.flights import Flight, trips
from onetrip._core.url import parse_url
from onetrip._engine.relay import Relay
from tests.harness.postgres import Postgres
from tests.harness.wait import until


@pytest.fixture
def relay(postgres: Postgres) -> Iterator[Relay]:
    """Stand before the server."""
    with Relay((postgres.host, postgres.port)) as relay:
        yield relay


@pytest.fixture
def url(relay: Relay, postgres: Postgres, database: str) -> str:
    """Reach the test's database through the relay, in the clear."""
    return relay.through(parse_url(postgres.url(database, sslmode="disable"))).render()


def words(flights: list[Flight]) -> list[str]:
    """Return the messages of each flight."""
    return [" ".join(flight.messages) for flight in flights]


def open_files() -> int:
    """Count this process's open files, sockets included."""
    return len(list(Path("/proc/self/fd").iterdir()))


def test_a_transaction_of_three(relay: Relay, url: str) -> None:
    """BEGIN, a statement and COMMIT are a trip each; what connecting took is told apart."""
    with relay.watched() as flights:
        connection = psycopg.connect(url)
    assert words(flights) == ["Startup", "password", "password"]
    assert all(flight.connecting for flight in flights)
    with relay.watched() as flights:
        connection.execute("SELECT %s::int", [1])
        connection.commit()
    assert words(flights) == ["Query(BEGIN)", "Parse(SELECT $1::int) Bind Describe Execute Sync", "Query(COMMIT)"]
    assert not any(flight.connecting for flight in flights)
    connection.close()


def test_what_does_not_wait_is_one_trip(relay: Relay, url: str) -> None:
    """Statements that leave one by one, each in a packet of its own, but before any answer, are one flight."""
    with psycopg.connect(url, autocommit=True) as connection:
        with relay.watched() as flights, connection.pipeline():
            for number in range(20):
                connection.execute("SELECT %s::int", [number])
        assert len(trips(flights)) == 1
        assert flights[0].messages.count("Execute") == 20


def test_copy_waits_for_its_turn_and_for_its_end(relay: Relay, url: str) -> None:
    """A megabyte of CopyData is one trip, after the one that asked for it."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE made (line text)")
        with relay.watched() as flights, connection.cursor().copy("COPY made FROM STDIN") as copy:
            for _ in range(1000):
                copy.write_row(["x" * 1000])
        assert words(flights) == ["Query(COPY made FROM STDIN)", "CopyData CopyDone"]


def test_an_error_does_not_upset_the_count(relay: Relay, url: str) -> None:
    """What follows a failed statement is counted as before."""
    with psycopg.connect(url, autocommit=True) as connection:
        for _ in range(2):
            with pytest.raises(psycopg.errors.SyntaxError):
                connection.execute("SELEC %s::int", [1])
            with relay.watched() as flights:
                connection.execute("SELECT %s::int", [1])
            assert len(trips(flights)) == 1


def test_psycopg2_and_its_values(relay: Relay, url: str) -> None:
    """One simple query is one trip."""
    connection = psycopg2.connect(url)
    with relay.watched() as flights, connection.cursor() as cursor:
        cursor.execute("SELECT %s", ["x"])
        connection.rollback()
    assert words(flights) == ["Query(BEGIN)", "Query(SELECT 'x')", "Query(ROLLBACK)"]
    assert [flight.only_rolls_back for flight in flights] == [False, False, True]
    assert len(trips(flights, rollbacks=False)) == 2
    connection.close()


async def test_asyncpg_waits_for_a_flush(relay: Relay, url: str) -> None:
    """Preparing ends in Flush, not Sync: a trip nevertheless."""
    connection = await asyncpg.connect(url)
    with relay.watched() as flights:
        await connection.fetch("SELECT $1::int", 1)
    assert words(flights) == ["Parse(SELECT $1::int) Describe Flush", "Bind Execute Sync"]
    with relay.watched() as flights:
        await connection.fetch("SELECT $1::int", 1)
    assert words(flights) == ["Bind Execute Sync"]
    await connection.close()


def test_over_tls_turns_are_counted(postgres15_tls: Postgres) -> None:
    """What cannot be read is counted all the same, and the certificate fits the name that was dialled."""
    with postgres15_tls.lent_database() as name:
        full = {"sslmode": "verify-full", "sslrootcert": postgres15_tls.ca_file}
        target = parse_url(postgres15_tls.url(name, host="localhost", **full))
        with Relay.before(target) as relay, psycopg.connect(relay.through(target).render()) as connection:
            for _ in range(3):
                with relay.watched() as flights:
                    connection.execute("SELECT 1")
                    connection.commit()
                assert words(trips(flights)) == ["encrypted"] * 3


def test_a_distance_is_paid_once_each_way(relay: Relay, url: str) -> None:
    """A trip takes twice the delay, whatever it carries, and two clients do not wait for each other."""
    with psycopg.connect(url, autocommit=True) as one, psycopg.connect(url, autocommit=True) as other:
        relay.delay = 0.05
        start = time.perf_counter()
        threads = [
            threading.Thread(target=connection.execute, args=["SELECT repeat('x', 1000000)"])
            for connection in (one, other)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert 0.1 <= time.perf_counter() - start < 5
        relay.delay = 0


def test_many_at_once(relay: Relay, url: str, postgres: Postgres, database: str) -> None:
    """Ten connections of one event loop get their own answers, and everything ends with its client."""

    async def client(number: int) -> None:
        connection = await asyncpg.connect(url)
        for _ in range(20):
            assert await connection.fetchval("SELECT $1::int", number) == number
        await connection.close()

    async def clients() -> None:
        await asyncio.gather(*map(client, range(10)))

    asyncio.run(clients())
    until(lambda: not postgres.backends(database))


def test_a_server_that_is_gone_is_gone_behind_the_relay(postgres: Postgres) -> None:
    """A client is refused, not left waiting."""
    with Relay((postgres.host, 1)) as relay, pytest.raises(psycopg.OperationalError):
        psycopg.connect(f"host={relay.host} port={relay.port} sslmode=disable connect_timeout=5")


def test_a_relay_leaves_nothing(postgres: Postgres, database: str) -> None:
    """Its thread, its sockets and its clients end with the block."""
    files = open_files()
    with Relay((postgres.host, postgres.port)) as relay:
        url = relay.through(parse_url(postgres.url(database))).render()
        connection = psycopg.connect(url)
    with pytest.raises(psycopg.OperationalError):
        connection.execute("SELECT 1")
    connection.close()
    assert not any(thread.name == "onetrip-relay" for thread in threading.enumerate())
    until(lambda: open_files() == files)


@pytest.mark.parametrize(
    ("written", "dialled"),
    [
        ("postgresql://u@localhost/d", "postgresql://u@127.0.0.1:{port}/d?sslmode=prefer"),
        ("postgresql://u@10.0.0.5:6432/d", "postgresql://u@127.0.0.1:{port}/d?sslmode=require"),
        ("postgresql://u@db.example/d?sslmode=require", "postgresql://u@db.example:{port}/d?sslmode=require&hostaddr=127.0.0.1"),
    ],
)  # fmt: skip
def test_tls_is_as_strict_as_without(relay: Relay, written: str, dialled: str) -> None:
    """The way through this machine lowers nothing, though it begins on loopback."""
    assert relay.through(parse_url(written)) == parse_url(dialled.format(port=relay.port))
