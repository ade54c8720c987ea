"""`onetrip bench` on real servers: what it counts is what travels, over TLS and through poolers as well."""

import json
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
from typer.testing import CliRunner

from onetrip.cli import app
from tests.harness.postgres import Postgres

STOCK = {"psycopg": (3, 3, 3, 5), "psycopg2": (3, 3, 3, 5), "asyncpg": (3, 3, 3, 5)}
PING = {"psycopg": 1, "psycopg2": 1, "asyncpg": 3}
OURS = {"psycopg": (1, 1, 2, 2), "psycopg2": (1, 1, 2, 2), "asyncpg": (2, 1, 3, 3)}
KEYS = {"target", "driver", "pooled", "one_trip", "encrypted", "round_trip", "units"}
SLOW = pytest.mark.slow
DRIVERS = pytest.mark.parametrize(
    "driver", ["psycopg", pytest.param("psycopg2", marks=SLOW), pytest.param("asyncpg", marks=SLOW)]
)

Bench = Callable[..., dict]


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    """Run the command and read what it prints for machines."""

    def bench(url: str, driver: str, **variables: str) -> dict:
        for name, value in {"DATABASE_URL": url, "DATABASE_DRIVER": driver, "APP_ENV": "test", **variables}.items():
            monkeypatch.setenv(name, value)
        done = CliRunner().invoke(app, ["bench", "--json", "--rounds", "3"], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        assert urlsplit(url).password not in done.output
        return json.loads(done.stdout)

    return bench


def trips(found: dict, side: str) -> tuple[int, ...]:
    """Return a side's trips, unit by unit."""
    return tuple(unit["trips"][side] for unit in found["units"])


@DRIVERS
def test_direct(bench: Bench, database_url: str, driver: str) -> None:
    """The object keeps its shape, and its trips are those of the table."""
    found = bench(database_url, driver)
    assert found.keys() == KEYS
    assert (found["driver"], found["pooled"], found["encrypted"]) == (driver, False, False)
    assert trips(found, "stock") == STOCK[driver]
    assert trips(found, "stock + pre_ping") == tuple(trips + PING[driver] for trips in STOCK[driver])
    assert trips(found, "onetrip") == OURS[driver]
    assert 0 < found["round_trip"] < 5


@SLOW
@pytest.mark.parametrize("driver", ["psycopg", "asyncpg"])
def test_over_tls(bench: Bench, postgres15_tls: Postgres, driver: str) -> None:
    """Nothing can be read, the certificate is still checked against the name, and the count is the same."""
    with postgres15_tls.lent_database() as name:
        parts = {"sslmode": "verify-full", "sslrootcert": postgres15_tls.ca_file}
        found = bench(postgres15_tls.url(name, host="localhost", **parts), driver)
    assert found["encrypted"]
    assert trips(found, "stock") == STOCK[driver]
    assert trips(found, "onetrip") == OURS[driver]


@SLOW
@pytest.mark.parametrize("driver", ["psycopg", "psycopg2", "asyncpg"])
def test_through_a_pooler(bench: Bench, pooled_url: str, driver: str) -> None:
    """The pooler that the settings name is one behind the relay, too: no prepared statement is lost."""
    found = bench(pooled_url, driver, DATABASE_POOLER="transaction")
    assert found["pooled"]
    assert trips(found, "onetrip")[0] <= OURS[driver][0] + (driver == "asyncpg")


def test_the_table_says_what_is_saved(monkeypatch: pytest.MonkeyPatch, database_url: str) -> None:
    """People read trips and times side by side, and one line for a request that reads."""
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("COLUMNS", "100")
    done = CliRunner().invoke(app, ["bench", "--rounds", "3"], catch_exceptions=False)
    assert done.exit_code == 0
    assert "a trip takes" in done.stdout
    assert "saved: 2 trips" in done.stdout


@pytest.mark.slow
def test_over_the_stock_dialects_nothing_is_claimed(monkeypatch: pytest.MonkeyPatch, database_url: str) -> None:
    """Who turned ours off is told so, not what it would save."""
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("DATABASE_ONE_TRIP", "off")
    done = CliRunner().invoke(app, ["bench", "--rounds", "3"], catch_exceptions=False)
    assert "DATABASE_ONE_TRIP is off" in done.stdout
    assert "saved" not in done.stdout


def test_a_database_that_is_not_there_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error is ours, before any side was measured."""
    monkeypatch.setenv("DATABASE_URL", "postgresql://app:hunter22@127.0.0.1:1/app")
    done = CliRunner().invoke(app, ["bench"])
    assert type(done.exception).__module__.startswith("onetrip.errors")
    assert "hunter22" not in str(done.exception)
