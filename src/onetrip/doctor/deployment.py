"""How many connections this deployment can open: replicas × workers × the pool of each."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Deployment:
    """Hold the factors and where the number of workers came from."""

    workers: int
    replicas: int
    pool_max: int
    source: str

    @property
    def connections(self) -> int:
        """Return the most connections that all processes together can open."""
        return self.workers * self.replicas * self.pool_max

    def __str__(self) -> str:
        replicas = f"{self.replicas} replicas × " if self.replicas > 1 else ""
        return f"{replicas}{self.workers} worker{'s' * (self.workers > 1)} ({self.source}) × pool of {self.pool_max}"


def deployment(
    environment: Mapping[str, str], *, pool_max: int, workers: int | None = None, replicas: int | None = None
) -> Deployment:
    """Read the number of workers where servers read it: gunicorn's arguments, uvicorn's variable, WEB_CONCURRENCY."""
    if workers is not None:
        return Deployment(workers, replicas or 1, pool_max, "--workers")
    given = re.search(r"(?:^|\s)(?:-w|--workers)[\s=]*(\d+)", environment.get("GUNICORN_CMD_ARGS", ""))
    if given:
        return Deployment(max(int(given[1]), 1), replicas or 1, pool_max, "GUNICORN_CMD_ARGS")
    for name in ("UVICORN_WORKERS", "WEB_CONCURRENCY"):
        if environment.get(name, "").isdigit():
            return Deployment(max(int(environment[name]), 1), replicas or 1, pool_max, name)
    return Deployment(1, replicas or 1, pool_max, "not said; --workers N says it")
