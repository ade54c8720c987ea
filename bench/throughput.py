"""Question: how many reads a second, and what CPU each costs, where the network costs nothing?

Everybody reads one row by its key with a pool of five: one client after the other, and where one process can, five at
once. All over one driver take turns in one run.
"""

import argparse
import asyncio
import statistics
from functools import partial
from typing import Any

from bench.contenders import AUTOCOMMIT, FETCH, POOL, POOLED, Contender, Spell, contenders
from bench.kept import keep, on_this_machine, table
from bench.rounds import Goal, interleaved, ratio
from bench.server import cpu_seconds, database
from bench.work import MODES, OURS, PING, STOCK
from tests.harness.postgres import Postgres


def options(parser: argparse.ArgumentParser) -> None:
    """Say how long."""
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.6, help="of each turn")


def run(chosen: argparse.Namespace) -> None:
    """Measure every driver and keep the results."""
    rounds, seconds = (2, 0.05) if chosen.quick else (chosen.rounds, chosen.seconds)
    found: dict[str, Any] = {"rounds": rounds, "seconds": seconds, "drivers": {}}
    goals: list[Goal] = []
    with database() as (server, url), asyncio.Runner() as runner:
        for mode in MODES:
            opened = contenders(mode, url, runner)
            try:
                for clients in (1,) if mode.blocking else (1, POOL):
                    name = str(mode) + (f", {clients} at once" if clients > 1 else "")
                    spells, servers = _measure(opened, server, rounds, seconds, clients)
                    found["drivers"][name] = {who: _figures(spells[who], servers[who]) for who in spells}
                    goals += _goals(name, {who: [spell.rate for spell in some] for who, some in spells.items()})
            finally:
                for contender in opened.values():
                    contender.close()
    keep("throughput", found, _page(found), goals, quick=chosen.quick)


def _measure(
    opened: dict[str, Contender], server: Postgres, rounds: int, seconds: float, clients: int
) -> tuple[dict[str, list[Spell]], dict[str, list[float]]]:
    for contender in opened.values():
        contender.spell(seconds, clients)  # connections, prepared statements, caches
    servers: dict[str, list[float]] = {name: [] for name in opened}

    def turn(name: str) -> Spell:
        before = cpu_seconds(server)
        spell = opened[name].spell(seconds, clients)
        servers[name].append((cpu_seconds(server) - before) / max(spell.requests, 1))
        return spell

    return interleaved({name: partial(turn, name) for name in opened}, rounds), servers


def _figures(spells: list[Spell], servers: list[float]) -> dict[str, float]:
    return {
        "reads per second": round(statistics.median(spell.rate for spell in spells), 1),
        "client, CPU µs a read": round(statistics.median(spell.cpu / spell.requests for spell in spells) * 1e6, 1),
        "server, CPU µs a read": round(statistics.median(servers) * 1e6, 1),
    }


def _goals(driver: str, rates: dict[str, list[float]]) -> list[Goal]:
    """Return the ratios that were promised, over each driver."""
    wanted = [(OURS, STOCK, 1.2), (OURS, PING, 1.5)]
    if driver.startswith("psycopg "):
        wanted += [(FETCH, POOLED, 1.1), (FETCH, AUTOCOMMIT, 0.6)]
    words = {OURS: "session reads"}
    return [
        Goal(f"{driver}: {words.get(ours, ours)} / {other}", ratio(rates[ours], rates[other]), least)
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
