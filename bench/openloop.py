"""A load generator that does not wait to be served.

Arrivals are fixed before the first request leaves, and latency counts from the arrival, not from when the request got
its turn: a server that stalls for a second is charged for everyone who came in that second (no coordinated omission).
It runs in a process of its own and speaks bare HTTP/1.1 over kept-alive connections, for 0.2 ms of CPU a request.
"""

import asyncio
import gc
import multiprocessing
import random
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field

PATIENCE = 300.0
"""Seconds after which a server that has stopped answering ends the run."""

KEPT = 3.0
"""Seconds that an idle connection is trusted for; uvicorn hangs up after five."""


@dataclass(frozen=True)
class Shot:
    """One request, ready to send."""

    kind: str
    request: bytes


@dataclass
class Volley:
    """What came back: seconds of latency by kind of request, and what was not a 2xx."""

    seconds: float = 0.0
    generator_cpu: float = 0.0
    latencies: dict[str, list[float]] = field(default_factory=dict)
    failures: dict[str, int] = field(default_factory=dict)
    late: float = 0.0

    def add(self, kind: str, latency: float, status: int) -> None:
        """Count one answer."""
        if 200 <= status < 300:
            self.latencies.setdefault(kind, []).append(latency)
        else:
            self.failures[f"{kind}: {status}"] = self.failures.get(f"{kind}: {status}", 0) + 1

    def all(self) -> list[float]:
        """Return every latency."""
        return [latency for some in self.latencies.values() for latency in some]


def arrivals(rate: float, seconds: float, dice: random.Random) -> list[float]:
    """Return when requests arrive, in seconds from the start: a Poisson process, as many independent users make."""
    moments, now = [], dice.expovariate(rate)
    while now < seconds:
        moments.append(now)
        now += dice.expovariate(rate)
    return moments


def open_loop(port: int, moments: list[float], shots: list[Shot]) -> Volley:
    """Send each shot at its moment, whatever became of those before."""
    return _elsewhere(_open, port, moments, shots)


def closed_loop(port: int, shots: list[Shot], clients: int, seconds: float) -> Volley:
    """Let clients send the shots, each its next one as soon as it has the answer to the last."""
    return _elsewhere(_closed, port, shots, clients, seconds)


def _elsewhere(job: Callable[..., Awaitable[Volley]], *args: object) -> Volley:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
        return process.submit(_run, job, *args).result()


def _run(job: Callable[..., Awaitable[Volley]], *args: object) -> Volley:
    gc.disable()  # a pause of ours is no latency of theirs
    began = time.process_time()
    volley = asyncio.run(_finish(job, *args))
    volley.generator_cpu = time.process_time() - began
    return volley


async def _finish(job: Callable[..., Awaitable[Volley]], *args: object) -> Volley:
    async with asyncio.timeout(PATIENCE):
        return await job(*args)


async def _open(port: int, moments: list[float], shots: list[Shot]) -> Volley:
    client, volley = Client(port), Volley()
    began = time.perf_counter() + 0.2

    async def fire(shot: Shot, due: float) -> None:
        status = await client.send(shot.request)
        volley.add(shot.kind, time.perf_counter() - due, status)

    async with asyncio.TaskGroup() as group:
        for moment, shot in zip(moments, shots, strict=True):
            due = began + moment
            if (wait := due - time.perf_counter()) > 0:
                await asyncio.sleep(wait)
            volley.late = max(volley.late, time.perf_counter() - due)
            group.create_task(fire(shot, due))
    volley.seconds = time.perf_counter() - began
    client.close()
    return volley


async def _closed(port: int, shots: list[Shot], clients: int, seconds: float) -> Volley:
    client, volley = Client(port), Volley()
    began = time.perf_counter()
    supply: Iterator[Shot] = iter(shots)

    async def one() -> None:
        for shot in supply:
            sent = time.perf_counter()
            if sent > began + seconds:
                return
            status = await client.send(shot.request)
            volley.add(shot.kind, time.perf_counter() - sent, status)

    async with asyncio.TaskGroup() as group:
        for _ in range(clients):
            group.create_task(one())
    volley.seconds = time.perf_counter() - began
    client.close()
    return volley


class Client:
    """Kept-alive connections to one port: as many as there are requests under way."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.idle: list[tuple[float, asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def send(self, request: bytes) -> int:
        """Send a request, read the whole answer, return its status."""
        reader, writer = await self._connection()
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        await reader.readexactly(int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0]))
        self.idle.append((time.perf_counter(), reader, writer))
        return int(head[9:12])

    async def _connection(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        while self.idle:
            since, reader, writer = self.idle.pop()
            if time.perf_counter() - since < KEPT:
                return reader, writer
            writer.close()
        return await asyncio.open_connection("127.0.0.1", self.port)

    def close(self) -> None:
        """Hang up."""
        for _, _, writer in self.idle:
            writer.close()
