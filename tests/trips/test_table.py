"""Every cell of the trips table, measured at the client's side of the wire."""

from collections.abc import Iterator

import pytest

from bench.table import (
    FIRST,
    FURTHER,
    UNITS,
    Table,
    promised,
    promised_connecting,
    statements,
)
from bench.work import ASYNCPG, OURS, PING, STOCK, Doer, Mode
from onetrip._core.flights import Flight

SLOW = pytest.mark.slow  # SQLAlchemy's own cells change with its versions only
BOTH = pytest.mark.parametrize("side", [pytest.param(STOCK, marks=SLOW), OURS])
POOLERS = pytest.mark.parametrize(
    "target",
    ["pgbouncer", pytest.param("recent-pgbouncer", marks=SLOW), "recent-pgbouncer-prepared"],
    indirect=True,
)
SETTLED = [False, pytest.param(True, marks=SLOW)]


@pytest.fixture
def doer(table: Table, side: str, mode: Mode) -> Iterator[Doer]:
    """Open an engine or a database."""
    with table.doer(side, mode) as doer:
        yield doer


def show(rounds: list[list[Flight]]) -> str:
    """Print what travelled."""
    return "\n".join(f"\nround {number}\n" + "\n".join(map(str, flights)) for number, flights in enumerate(rounds))


@pytest.mark.parametrize("settled", [False, True], ids=["plain", "settled"])
@BOTH
def test_every_unit_of_work_direct(table: Table, doer: Doer, side: str, mode: Mode, settled: bool) -> None:
    """Each round of each unit takes the trips of the table, with tenant, role, time-out and isolation as without."""
    for unit in UNITS:
        rounds = table.steady(doer, unit, settled=settled)
        expected = promised(side, mode, unit, settled=settled)
        assert [len(flights) for flights in rounds] == [expected] * len(rounds), f"{unit.words}{show(rounds)}"


@SLOW
@pytest.mark.parametrize("side", [PING])
def test_a_ping_before_each_checkout(table: Table, doer: Doer, side: str, mode: Mode) -> None:
    """Stock with pre_ping pays what the table says."""
    for unit in UNITS:
        rounds = table.steady(doer, unit)
        assert {len(flights) for flights in rounds} == {promised(side, mode, unit)}, f"{unit.words}{show(rounds)}"


@pytest.mark.parametrize("what", [FURTHER, FIRST], ids=["a further", "the first"])
@BOTH
def test_a_connection_up_to_its_first_row(table: Table, side: str, mode: Mode, what: str) -> None:
    """On top of the driver's own connect there is what the table says."""
    found = table.connecting(side, mode, what)
    extra = len(found) - len(table.bare(mode))
    assert extra == promised_connecting(side, mode, what), show([found])


@POOLERS
@pytest.mark.parametrize("side", [OURS])
@pytest.mark.parametrize("settled", SETTLED, ids=["plain", "settled"])
def test_ours_through_a_pooler(table: Table, doer: Doer, mode: Mode, settled: bool) -> None:
    """A pooler costs nothing, and asyncpg at most one trip a statement.

    The time-outs that a direct connection is told at its start ride with each transaction: to asyncpg none is plain.
    """
    for unit in UNITS:
        rounds = table.steady(doer, unit, settled=settled)
        direct = promised(OURS, mode, unit, settled=settled)
        most = promised(OURS, mode, unit, settled=True) + (statements(unit) if mode is ASYNCPG else 0)
        counts = [len(flights) for flights in rounds]
        assert min(counts) >= direct, f"{unit.words}{show(rounds)}"
        assert max(counts) <= most, f"{unit.words}{show(rounds)}"


@SLOW
@pytest.mark.parametrize("target", ["pgbouncer"], indirect=True)
@pytest.mark.parametrize("side", [STOCK])
def test_stock_through_a_pooler(table: Table, doer: Doer, mode: Mode) -> None:
    """The guides' recipe costs asyncpg one more trip for each statement, and the others nothing."""
    for unit in UNITS:
        rounds = table.steady(doer, unit)
        more = statements(unit) if mode is ASYNCPG else 0
        expected = promised(STOCK, mode, unit) + more
        assert {len(flights) for flights in rounds} == {expected}, f"{unit.words}{show(rounds)}"


@SLOW
@pytest.mark.parametrize("settled", [False, True], ids=["plain", "settled"])
def test_with_one_trip_off_it_costs_what_stock_costs(table: Table, mode: Mode, settled: bool) -> None:
    """Over SQLAlchemy's own dialects nothing is gained and nothing lost; all settings together are one statement."""
    with table.doer(OURS, mode, one_trip=False) as doer:
        for unit in UNITS:
            rounds = table.steady(doer, unit, settled=settled)
            expected = promised(STOCK, mode, unit) + settled
            assert [len(flights) for flights in rounds] == [expected] * len(rounds), f"{unit.words}{show(rounds)}"
