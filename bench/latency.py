"""Question: what does a session that reads one row take, with the database some distance away?

A relay in a process of its own holds every byte back for half a trip in each direction. One client back to back, and
fifty that come at the same moment to a pool of five; from when a read is wanted to when its session is closed.
"""

import argparse
import asyncio
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from bench.kept import keep, on_this_machine, table
from bench.rounds import Goal, interleaved, ratio
from bench.server import Distance, database
from bench.work import MODES, OURS, PING, SIDES, STOCK, Doer, Mode, worker

TRIPS = (0.0, 0.001, 0.005, 0.020)
POOL, CLIENTS = 5, 50
ALONE, CROWD = "one client", "50 at once"
GOALS = {ALONE: ((STOCK, 2.5), (PING, 3.4)), CROWD: ((STOCK, 2.3),)}
AT = 0.005
"""The distance, in seconds a trip, that the goals are about."""


def options(parser: argparse.ArgumentParser) -> None:
    """Say how often."""
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--reads", type=int, default=15, help="of the one client in a round")


def run(chosen: argparse.Namespace) -> None:
    """Measure every driver at every distance and keep the results."""
    rounds, reads, trips = (1, 3, (AT,)) if chosen.quick else (chosen.rounds, chosen.reads, TRIPS)
    found: dict[str, Any] = {"rounds": rounds, "reads": reads, "drivers": {}}
    goals: list[Goal] = []
    with database() as (server, url), Distance(server.port) as distance:
        far = url.replace(f":{urlsplit(url).port}/", f":{distance.port}/")
        for mode in MODES:
            doers = {side: Doer(worker(side, mode, far, pool=POOL)) for side in SIDES}
            try:
                found["drivers"][str(mode)] = kinds = {ALONE: {}, CROWD: {}}
                for trip in trips:
                    distance.set(trip)
                    rest = _measure(doers, rounds, reads)
                    for kind, medians in rest.items():
                        kinds[kind][f"{trip * 1000:g}"] = {
                            side: round(statistics.median(some) * 1000, 2) for side, some in medians.items()
                        }
                    goals += _goals(mode, rest) if trip == AT else []
            finally:
                distance.set(0)
                for doer in doers.values():
                    doer.close()
    keep("latency", found, _page(found), goals, quick=chosen.quick)


def _measure(doers: dict[str, Doer], rounds: int, reads: int) -> dict[str, dict[str, list[float]]]:
    """Return each round's median, in seconds, by kind and side."""
    for doer in doers.values():
        _burst(doer)  # every connection of the pool, prepared statements, caches

    def alone(doer: Doer) -> float:
        return statistics.median(_timed(lambda: doer("read")) for _ in range(reads))

    def crowd(doer: Doer) -> float:
        return statistics.median(_burst(doer))

    return {
        kind: interleaved({side: partial(measure, doer) for side, doer in doers.items()}, rounds)
        for kind, measure in ((ALONE, alone), (CROWD, crowd))
    }


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _burst(doer: Doer) -> list[float]:
    """Return how long each of fifty reads took that came at the same moment."""
    if doer.blocking:
        with ThreadPoolExecutor(CLIENTS) as threads:
            began = time.perf_counter()

            def read(_number: int) -> float:
                doer("read")
                return time.perf_counter() - began

            return list(threads.map(read, range(CLIENTS)))

    async def burst() -> list[float]:
        began = time.perf_counter()

        async def read() -> float:
            await doer.worker.read()
            return time.perf_counter() - began

        return await asyncio.gather(*(read() for _ in range(CLIENTS)))

    return doer.run(burst())


def _goals(mode: Mode, found: dict[str, dict[str, list[float]]]) -> list[Goal]:
    return [
        Goal(f"{mode}, 5 ms, {kind}: {other} / onetrip", ratio(found[kind][other], found[kind][OURS]), least)
        for kind, goals in GOALS.items()
        for other, least in goals
    ]


def _page(found: dict[str, Any]) -> str:
    rows = [
        [
            driver,
            kind,
            f"{trip} ms",
            *(f"{medians[side]:.1f}" for side in SIDES),
            f"{medians[STOCK] / medians[OURS]:.1f}",
        ]
        for driver, kinds in found["drivers"].items()
        for kind, trips in kinds.items()
        for trip, medians in trips.items()
    ]
    head = ["driver", "clients", "a trip takes", *(f"{side}, ms" for side in SIDES), "stock / onetrip"]
    title = """# A read with the database some distance away

Medians, in ms, of a session that reads one row. Over asyncpg it takes two trips where stock takes three (six with
pre_ping): 1.5 and 3 are the most that can be saved there."""
    return on_this_machine(title) + "\n" + table(head, rows)
