"""Question: what memory does a connection cost the client while it rests in the pool?

A fresh process opens one connection, then more, all used for the same read; what only that process has in memory grows.
"""

import argparse
import asyncio
import gc
import multiprocessing
import statistics
from concurrent.futures import ProcessPoolExecutor
from contextlib import AsyncExitStack, ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from bench.kept import keep, on_this_machine, table
from bench.rounds import interleaved
from bench.server import database
from bench.work import MODES, OURS, STOCK, Mode, worker

SIDES = (STOCK, OURS)


def options(parser: argparse.ArgumentParser) -> None:
    """Say how many."""
    parser.add_argument("--connections", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=5)


def run(chosen: argparse.Namespace) -> None:
    """Measure every driver and keep the results."""
    rounds, many, modes = (1, 3, MODES[:1]) if chosen.quick else (chosen.rounds, chosen.connections, MODES)
    found: dict[str, Any] = {"rounds": rounds, "connections": many, "drivers": {}}
    with database() as (_, url):
        for mode in modes:
            sizes = interleaved({side: partial(_elsewhere, side, mode, url, many) for side in SIDES}, rounds)
            found["drivers"][str(mode)] = {
                side: round(statistics.median(some) / 1024, 1) for side, some in sizes.items()
            }
    keep("memory", found, _page(found), quick=chosen.quick)


def _elsewhere(side: str, mode: Mode, url: str, many: int) -> float:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
        return process.submit(_bytes_each, side, mode.driver, mode.blocking, url, many).result()


def _bytes_each(side: str, driver: str, blocking: bool, url: str, many: int) -> float:
    """Return how many bytes each further idle connection took."""
    mode = Mode(driver, blocking=blocking)
    if blocking:
        return _sync(worker(side, mode, url, pool=many), many)
    return asyncio.run(_async(worker(side, mode, url, pool=many), many))


def _sync(worker: Any, many: int) -> float:
    def hold(count: int) -> None:
        with ExitStack() as held:
            for _ in range(count):
                held.enter_context(worker.holding())

    hold(2)
    before = _own_bytes()
    hold(many)
    size = (_own_bytes() - before) / (many - 2)
    worker.close()
    return size


async def _async(worker: Any, many: int) -> float:
    async def hold(count: int) -> None:
        async with AsyncExitStack() as held:
            for _ in range(count):
                await held.enter_async_context(worker.holding())

    await hold(2)
    before = _own_bytes()
    await hold(many)
    size = (_own_bytes() - before) / (many - 2)
    await worker.close()
    return size


def _own_bytes() -> int:
    """Return what only this process has in memory."""
    gc.collect()
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Private_"))


def _page(found: dict[str, Any]) -> str:
    rows = [[driver, *(f"{sizes[side]:.0f}" for side in SIDES)] for driver, sizes in found["drivers"].items()]
    each = f"KiB of the client for each of {found['connections']} that have served a session's read."
    title = f"# Memory of an idle connection\n\n{each}"
    return on_this_machine(title) + "\n" + table(["driver", *SIDES], rows)
