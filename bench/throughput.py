"""Question: how many reads a second, and what CPU each costs, where the network costs nothing?

Everybody reads one row by its key with a pool of five. Blocking ones do so one after the other, asynchronous ones for
five clients at once. All over one driver take turns in one run.
"""

import argparse
import asyncio
import statistics
from typing import Any

from bench.contenders import AUTOCOMMIT, FETCH, POOLED, Contender, Spell, contenders
from bench.kept import keep, on_this_machine, table
from bench.rounds import Goal, interleaved, ratio
from bench.server import cpu_seconds, database
from bench.work import MODES, OURS, PING, STOCK, Mode
from tests.harness.postgres import Postgres


def options(parser: argparse.ArgumentParser) -> None:
    """Say how long."""
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=0.7, help="of each turn")


def run(chosen: argparse.Namespace) -> None:
    """Measure every driver and keep the results."""
    rounds, seconds = (2, 0.05) if chosen.quick else (chosen.rounds, chosen.seconds)
    found: dict[str, Any] = {"rounds": rounds, "seconds": seconds, "drivers": {}}
    goals: list[Goal] = []
    with database() as (server, url), asyncio.Runner() as runner:
        for mode in MODES:
            opened = contenders(mode, url, runner)
            try:
                spells, servers = _measure(opened, server, rounds, seconds)
            finally:
                for contender in opened.values():
                    contender.close()
            found["drivers"][str(mode)] = {name: _figures(spells[name], servers[name]) for name in spells}
            goals += _goals(mode, {name: [spell.rate for spell in some] for name, some in spells.items()})
    keep("throughput", found, _page(found), goals, quick=chosen.quick)


def _measure(
    opened: dict[str, Contender], server: Postgres, rounds: int, seconds: float
) -> tuple[dict[str, list[Spell]], dict[str, list[float]]]:
    for contender in opened.values():
        contender.spell(seconds)  # connections, prepared statements, caches
    servers: dict[str, list[float]] = {name: [] for name in opened}

    def turn(name: str) -> Spell:
        before = cpu_seconds(server)
        spell = opened[name].spell(seconds)
        servers[name].append((cpu_seconds(server) - before) / max(spell.requests, 1))
        return spell

    return interleaved({name: lambda name=name: turn(name) for name in opened}, rounds), servers


def _figures(spells: list[Spell], servers: list[float]) -> dict[str, float]:
    return {
        "reads per second": round(statistics.median(spell.rate for spell in spells), 1),
        "client, CPU µs a read": round(statistics.median(spell.cpu / spell.requests for spell in spells) * 1e6, 1),
        "server, CPU µs a read": round(statistics.median(servers) * 1e6, 1),
    }


def _goals(mode: Mode, rates: dict[str, list[float]]) -> list[Goal]:
    """Return the ratios that were promised, over each driver."""
    wanted = [(OURS, STOCK, 1.2), (OURS, PING, 1.5)]
    if mode.driver == "psycopg":
        wanted += [(FETCH, POOLED, 1.1), (FETCH, AUTOCOMMIT, 0.6)]
    words = {OURS: "session reads"}
    return [
        Goal(f"{mode}: {words.get(ours, ours)} / {other}", ratio(rates[ours], rates[other]), least)
        for ours, other, least in wanted
        if other in rates
    ]


def _page(found: dict[str, Any]) -> str:
    rows = [
        [driver, name, *(f"{figure:,.0f}" for figure in figures.values())]
        for driver, everybody in found["drivers"].items()
        for name, figures in everybody.items()
    ]
    head = ["driver", "who", "reads/s", "client, CPU µs a read", "server, CPU µs a read"]
    return on_this_machine("# Reads where the network costs nothing") + "\n" + table(head, rows)
