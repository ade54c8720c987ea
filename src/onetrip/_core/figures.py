"""The figures of a pool, as one frozen record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Say how long something took, in seconds, over the last thousand times."""

    count: int
    p50: float
    p95: float
    p99: float
    longest: float


@dataclass(frozen=True, slots=True)
class PoolStats:
    """Say what a pool does now (size … waiting) and has done since it was opened (wait … discarded)."""

    size: int
    """The most connections it may open (``pool_max``)."""
    in_use: int
    idle: int
    waiting: int
    wait: Percentiles
    """How long callers waited in line for a connection; those served at once count as 0."""
    hold: Percentiles
    """How long connections were out."""
    refused: int
    """Callers turned away because none came free in time."""
    opened: int
    discarded: Mapping[str, int]
    """Connections closed, by reason: lifetime, idle, dead, lost, closed."""

    def as_dict(self) -> dict[str, Any]:
        """Return plain dictionaries, fit for JSON."""
        return asdict(self)


def percentiles(values: Sequence[float]) -> Percentiles:
    """Return the nearest-rank percentiles of ``values``; zeros for none."""
    ordered = sorted(values)
    if not ordered:
        return Percentiles(0, 0.0, 0.0, 0.0, 0.0)

    def rank(share: float) -> float:
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]

    return Percentiles(len(ordered), rank(0.50), rank(0.95), rank(0.99), ordered[-1])
