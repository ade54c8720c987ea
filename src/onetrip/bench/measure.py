"""Trips through a relay on this machine, and latency without one.

Only ``SELECT 1`` and settings of a transaction are ever sent. TLS stays end to end: the relay passes bytes on, and over
TLS it counts how often the direction changes.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from onetrip._core.endpoint import Kind
from onetrip._core.flights import trips
from onetrip._engine.relay import Relay
from onetrip.bench.sides import UNITS, Sides
from onetrip.settings import Settings

if TYPE_CHECKING:
    from onetrip._core.url import DatabaseUrl

_POOLER = {Kind.DIRECT: "none", Kind.TRANSACTION: "transaction", Kind.SESSION: "session"}


@dataclass(frozen=True)
class Unit:
    """A unit of work: trips and seconds by side."""

    name: str
    trips: dict[str, int]
    seconds: dict[str, float]

    @property
    def saved(self) -> float:
        """Return the seconds that onetrip saves of stock's."""
        return self.seconds["stock"] - self.seconds["onetrip"]


@dataclass(frozen=True)
class Report:
    """What was measured; ``round_trip`` is in seconds."""

    target: str
    driver: str
    pooled: bool
    one_trip: bool
    encrypted: bool
    round_trip: float
    units: tuple[Unit, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON; it holds no secret."""
        units = [asdict(unit) | {"saved_seconds": unit.saved} for unit in self.units]
        return asdict(self) | {"units": units}


def measure(settings: Settings, *, rounds: int = 10) -> Report:
    """Count the trips of each unit of work and time it; connects, and so wakes a database that sleeps.

    Raises our errors where the database cannot be reached.
    """
    target = settings.resolve_url()
    counted, encrypted = _count(settings, target)
    with Sides(settings) as sides:
        sides.warm()
        round_trip = _timed(sides.stock.once, rounds)
        units = tuple(Unit(unit, counted[unit], _times(sides, unit, rounds)) for unit in UNITS)
    where = target.hosts[0].name if target.hosts else "the local server"
    endpoint = settings.endpoint
    return Report(where, settings.driver, endpoint.pooled, settings.one_trip, encrypted, round_trip, units)


def _count(settings: Settings, target: DatabaseUrl) -> tuple[dict[str, dict[str, int]], bool]:
    """Return the trips of each unit by side, and whether the way is encrypted."""
    with Relay.before(target) as relay:
        through, loop = _detour(settings, target, relay)
        with Sides(through, loop) as sides:
            sides.warm()
            counted = {
                unit: {name: _trips(relay, side, sides, unit) for name, side in sides.all.items()} for unit in UNITS
            }
        return counted, any(flight.messages == ["encrypted"] for flight in relay.flights)


def _trips(relay: Relay, side: Any, sides: Sides, unit: str) -> int:
    """Return the median of three; where nothing can be read, the ROLLBACK that nobody waits for leaves in between."""
    taken = []
    for _ in range(3):
        began = time.monotonic()
        with relay.watched() as flights:
            side.do(unit)
        taken.append(len(trips(flights, rollbacks=side.waits_for_rollback)))
        if not side.waits_for_rollback:
            sides.stock.rest(0.03 + 2 * (time.monotonic() - began))
    return round(statistics.median(taken))


def _detour(
    settings: Settings, target: DatabaseUrl, relay: Relay
) -> tuple[Settings, Callable[[], asyncio.AbstractEventLoop] | None]:
    """Return settings that lead through the relay, and for asyncpg an event loop that finds every name there."""
    if settings.driver == "asyncpg" and _is_name(target):
        return settings, lambda: _Detour(relay)
    kept = set(Settings.model_fields) - {"database_url", "migration_database_url", "pooler"}
    given: dict[str, Any] = {name: getattr(settings, name) for name in kept}
    pooler = _POOLER.get(settings.endpoint.kind, settings.pooler)  # the port that may tell it is the relay's now
    url = relay.through(target)
    return Settings(database_url=url, migration_database_url=None, pooler=pooler, **given), None


def _is_name(target: DatabaseUrl) -> bool:
    return bool(target.hosts) and not (target.hosts[0].is_socket or target.hosts[0].is_address)


class _Detour(asyncio.SelectorEventLoop):
    """Resolve every name to the relay: what TLS checks is still the name that was dialled."""

    def __init__(self, relay: Relay) -> None:
        super().__init__()
        self._relay = relay

    async def getaddrinfo(self, host: Any, port: Any, **options: Any) -> Any:  # noqa: ARG002  whatever was asked for
        return await super().getaddrinfo(self._relay.host, self._relay.port, **options)


def _times(sides: Sides, unit: str, rounds: int) -> dict[str, float]:
    """Return each side's median; they take turns."""
    found: dict[str, list[float]] = {name: [] for name in sides.all}
    for _ in range(rounds):
        for name, side in sides.all.items():
            found[name].append(_timed(partial(side.do, unit), 1))
    return {name: statistics.median(some) for name, some in found.items()}


def _timed(work: Callable[[], None], rounds: int) -> float:
    took = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        took.append(time.perf_counter() - began)
    return statistics.median(took)
