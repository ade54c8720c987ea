"""The PostgreSQL that drivers are measured on, a distance away if wanted; server and client on cores of their own."""

import os
import selectors
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from bench.work import TABLE
from tests.harness import binaries
from tests.harness.postgres import APP, Postgres


@contextmanager
def database() -> Iterator[tuple[Postgres, str]]:
    """Serve a database with one table for the time of a block; give the server and the URL."""
    server = Postgres(binaries.embedded())
    cores = sorted(os.sched_getaffinity(0))
    try:
        server.start()
        if len(cores) > 1:
            os.sched_setaffinity(server.pid, cores[1:])  # its backends inherit it
            os.sched_setaffinity(0, cores[:1])
        server.execute(f"SET ROLE {APP}; {TABLE}; ANALYZE bench_thing", database=APP)
        yield server, server.url()
    finally:
        os.sched_setaffinity(0, cores)
        server.stop()
        server.remove()


def cpu_seconds(server: Postgres) -> float:
    """Return the CPU time that the server's processes have used; those that ended are left out."""
    tick = os.sysconf("SC_CLK_TCK")
    children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
    ticks = 0
    for process in children:
        try:
            fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        except FileNotFoundError:
            continue
        ticks += int(fields[11]) + int(fields[12])
    return ticks / tick


class Distance:
    """Put a network delay before a server: a relay in a process of its own, that neither side's Python slows down."""

    def __init__(self, port: int) -> None:
        cores = sorted(os.sched_getaffinity(0))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.server", str(port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[1],
        )
        os.sched_setaffinity(self._process.pid, set(range(os.cpu_count() or 1)) - set(cores) or set(cores))
        self.port = int(self._read())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(10)
        assert self._process.stdout
        self._process.stdout.close()

    def set(self, trip: float) -> None:
        """Let a trip, there and back, take so many seconds."""
        assert self._process.stdin
        self._process.stdin.write(f"{trip / 2}\n")
        self._process.stdin.flush()
        self._read()

    def _read(self) -> str:
        assert self._process.stdout
        return self._process.stdout.readline()


def _serve(port: int) -> None:
    """Relay until standard input ends; each line there is a new delay."""
    # select() waits to the microsecond, epoll to the millisecond: too coarse for a delay of half of one.
    from onetrip._engine.relay import Relay

    with Relay(("127.0.0.1", port), delay=0.0, decodes=False, selector=selectors.SelectSelector()) as relay:
        print(relay.port, flush=True)
        for line in sys.stdin:
            relay.delay = float(line)
            print("done", flush=True)


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
