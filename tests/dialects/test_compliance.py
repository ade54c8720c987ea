"""SQLAlchemy's own suite for dialects finds no difference between its dialects and ours."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from tests.dialects.compliance import run_suite
from tests.harness.postgres import Postgres

PAIRS = [  # SQLAlchemy's, ours
    ("psycopg", "onetrip"),
    ("psycopg_async", "onetrip_async"),
    ("psycopg2", "onetrip_psycopg2"),
    ("asyncpg", "onetrip_asyncpg"),
]
STOCK_PASSES = 1850  # 1,890 with SQLAlchemy 2.1.9: far fewer, and it is not the suite that ran

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(("stock", "ours"), PAIRS)
def test_ours_passes_what_stock_passes(postgres: Postgres, stock: str, ours: str) -> None:
    """No test of SQLAlchemy's fails, is skipped or is left out on our dialect that passes on its own."""
    with ThreadPoolExecutor() as both:
        of_stock, of_ours = both.map(partial(run_suite, postgres), (stock, ours))
    assert len(of_stock.passed) >= STOCK_PASSES, f"the suite did not run: {of_stock}"
    missed = [f"{name}: {said}" for name, said in of_ours.missed(of_stock).items()]
    assert not missed, "\n".join([f"{stock}: {of_stock}; {ours}: {of_ours}", *missed])


def test_a_wrong_rowcount_is_found(postgres: Postgres) -> None:
    """A dialect that counts rows wrongly is told by the names of the tests that say so."""
    chosen = ("-k", "RowCountTest")
    missed = run_suite(postgres, "miscounting", *chosen).missed(run_suite(postgres, "psycopg", *chosen))
    assert "test_rowcount.RowCountTest::test_update_rowcount1" in missed
