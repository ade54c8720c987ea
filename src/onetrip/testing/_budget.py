"""A limit for the network trips that a block of a test may take."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from onetrip._core.flights import Flight, trips

if TYPE_CHECKING:
    from onetrip._engine.relay import Relay


class TripBudget:
    """Count the trips of a block and fail where they are too many: ``with trip_budget(2): …``.

    A trip is what somebody waits for. With onetrip's dialects a ROLLBACK that leaves by itself is none; with
    ``one_trip`` off it is.
    """

    def __init__(self, relay: Relay, *, one_trip: bool) -> None:
        self._relay = relay
        self._one_trip = one_trip

    @contextmanager
    def __call__(self, most: int | None = None, *, exactly: int | None = None) -> Iterator[list[Flight]]:
        """Allow at most ``most`` trips, or ``exactly`` so many; raise ``AssertionError`` that lists what travelled.

        The list that the block gets is filled when it ends.
        """
        __tracebackhide__ = True
        if (most is None) == (exactly is None):
            raise TypeError("trip_budget takes one limit: trip_budget(2) or trip_budget(exactly=2)")
        with self._relay.watched() as flights:
            yield flights
        flights[:] = trips(flights, rollbacks=not self._one_trip)
        taken = len(flights)
        if exactly is not None and taken != exactly:
            raise AssertionError(_message(flights, f"exactly {exactly}"))
        if most is not None and taken > most:
            raise AssertionError(_message(flights, f"at most {most}"))


def _message(flights: list[Flight], allowed: str) -> str:
    lines = [f"{len(flights)} trip{'' if len(flights) == 1 else 's'}, {allowed} allowed:"]
    lines += [f"{number:4}. {flight}{' (connecting)' * flight.connecting}" for number, flight in enumerate(flights, 1)]
    if any(flight.connecting for flight in flights):
        lines.append("the first use of a database connects: run the block once before the one that is counted")
    return "\n".join(lines)
