"""The tests stay quick enough to be run."""

from pathlib import Path

from tests.harness.budgets import BUDGETS, TOTAL

TESTS = Path(__file__).parent


def test_budgets_fit_into_ten_minutes() -> None:
    """All folders together leave room for the installation."""
    assert sum(BUDGETS.values()) <= TOTAL
