"""SQLAlchemy's own suite for dialects finds no difference between its dialects and ours."""

from collections.abc import Callable
from functools import cache

import pytest

from tests.dialects.compliance import Report, run_suite
from tests.harness.postgres import Postgres

OURS = {  # ours: SQLAlchemy's
    "onetrip": "psycopg",
    "onetrip_async": "psycopg_async",
    "onetrip_psycopg2": "psycopg2",
    "onetrip_asyncpg": "asyncpg",
}
STOCK_PASSES = 1850  # 1,890 with SQLAlchemy 2.1.9: far fewer, and it is not the suite that ran

pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def stock(postgres: Postgres) -> Callable[[str], Report]:
    """Run the suite once on a dialect of SQLAlchemy's."""
    return cache(lambda dialect: run_suite(postgres, dialect))


@pytest.mark.parametrize("ours", OURS)
def test_ours_passes_what_stock_passes(postgres: Postgres, stock: Callable[[str], Report], ours: str) -> None:
    """No test of SQLAlchemy's fails, is skipped or is left out on our dialect that passes on its own."""
    theirs = stock(OURS[ours])
    assert len(theirs.passed) >= STOCK_PASSES, f"the suite did not run: {theirs}"
    report = run_suite(postgres, ours)
    print(f"{OURS[ours]}: {theirs}; {ours}: {report}")
    missed = [f"{name}: {said}" for name, said in report.missed(theirs).items()]
    assert not missed, "\n".join([f"passed with {OURS[ours]}, not with {ours}:", *missed])


def test_a_wrong_rowcount_is_found(postgres: Postgres) -> None:
    """A dialect that counts rows wrongly is told by the names of the tests that say so."""
    chosen = ("-k", "RowCountTest")
    missed = run_suite(postgres, "miscounting", *chosen).missed(run_suite(postgres, "psycopg", *chosen))
    assert "test_rowcount.RowCountTest::test_update_rowcount1" in missed
