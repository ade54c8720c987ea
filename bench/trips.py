"""Question: how often does a client wait for its database? Every cell of the trips table, counted on the wire."""

import argparse
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from bench.kept import keep, on_this_machine, table
from bench.server import database
from bench.table import FIRST, FURTHER, UNITS, Table, promised
from bench.work import MODES, OURS, PING, SIDES, STOCK, Mode
from tests.harness.missing import absent
from tests.harness.pgbouncer import PgBouncer, distribution, recent
from tests.harness.pgbouncer import version as version_of
from tests.harness.postgres import APP, Postgres

WAYS = ("direct", "PgBouncer", "recent PgBouncer", "recent PgBouncer, prepared statements")


def options(parser: argparse.ArgumentParser) -> None:
    """Have no options of its own: trips are exact."""


def run(chosen: argparse.Namespace) -> None:
    """Count every cell and keep the results."""
    modes = MODES[:1] if chosen.quick else MODES
    found: dict[str, Any] = {"ways": {}, "connecting": {}, "off": []}
    with database() as (server, url):
        found["connecting"] = _connecting(url, modes)
        for way in WAYS[:1] if chosen.quick else WAYS:
            with ExitStack() as stack:
                door = stack.enter_context(_door(server, way))
                if door is None:
                    print(f"left out: {way} is not on this machine")
                    continue
                counted = Table(door.url(APP), pooled=way != "direct")
                found["ways"][_name(way)] = _steady(stack.enter_context(counted.open()), modes, way, found["off"])
    keep("trips", found, _page(found), quick=chosen.quick)


@contextmanager
def _door(server: Postgres, way: str) -> Iterator[Postgres | PgBouncer | None]:
    """Give what clients connect to; None where this machine has no such pooler."""
    if way == "direct":
        yield server
        return
    program = absent(distribution if way == "PgBouncer" else recent)
    if program is None:
        yield None
        return
    pooler = PgBouncer(server, program=program, max_prepared_statements=200 if "prepared" in way else 0)
    try:
        pooler.start()
        yield pooler
    finally:
        pooler.stop()
        pooler.remove()


def _name(way: str) -> str:
    if way == "direct":
        return way
    number = version_of(distribution() if way == "PgBouncer" else recent())
    return f"PgBouncer {number}" + (", prepared statements" if "prepared" in way else "")


def _steady(counted: Table, modes: tuple[Mode, ...], way: str, off: list[str]) -> dict[str, Any]:
    """Return trips by unit, with and without tenant, role, time-out and isolation, driver and side."""
    cells: dict[str, Any] = {}
    for mode in modes:
        for side in SIDES:
            with counted.doer(side, mode) as doer:
                for unit in UNITS:
                    for settled in (False, True) if side != PING else (False,):
                        rounds = counted.steady(doer, unit, settled=settled)
                        most = max(len(flights) for flights in rounds)
                        words = unit.words + (" + tenant, role, time-out, isolation" if settled else "")
                        cells.setdefault(words, {}).setdefault(str(mode), {})[side] = most
                        if way == "direct" and most != (wanted := promised(side, mode, unit, settled=settled)):
                            off.append(f"{mode}, {side}, {words}: {most}, not {wanted}")
    return cells


def _connecting(url: str, modes: tuple[Mode, ...]) -> dict[str, Any]:
    """Return what a connection costs on top of the driver's bare connect, up to its first row."""
    with Table(url).open() as counted:
        bare = {mode: len(counted.bare(mode)) for mode in modes}
        return {
            what: {
                str(mode): {
                    side: len(counted.connecting(side, mode, what)) - bare[mode] for side in (STOCK, OURS)
                }
                for mode in modes
            }
            for what in (FURTHER, FIRST)
        }  # fmt: skip


def _page(found: dict[str, Any]) -> str:
    parts = [
        on_this_machine(
            "# Trips: how often a client waits\n\nCounted by a relay that decodes every flight; steady state, TLS and "
            "authentication apart. In each cell: stock / stock with pre_ping / **onetrip**."
        )
    ]
    for way, cells in found["ways"].items():
        parts += [f"\n## {way}\n", _table(cells)]
    parts += [
        "\n## Connections\n\nOn top of the driver's bare connect, up to the first row.\n",
        _table(found["connecting"]),
    ]
    parts += ["", *(f"NOT AS PROMISED: {line}" for line in found["off"])]
    return "\n".join(parts)


def _table(cells: dict[str, Any]) -> str:
    drivers = list(next(iter(cells.values())))
    rows = [[unit, *(_cell(sides[driver]) for driver in drivers)] for unit, sides in cells.items()]
    return table(["unit of work", *drivers], rows)


def _cell(sides: dict[str, int]) -> str:
    return " / ".join(f"**{trips}**" if side == OURS else str(trips) for side, trips in sides.items())
