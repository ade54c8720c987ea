"""What the suite runs on: each way to a PostgreSQL that a user may have."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pytest

from tests.harness.neon import NeonProxy
from tests.harness.pgbouncer import PgBouncer
from tests.harness.postgres import Postgres

Door = Postgres | PgBouncer | NeonProxy
"""What clients connect to."""


def server_behind(door: Door) -> Postgres:
    """Return the PostgreSQL at the end of the way."""
    if isinstance(door, Postgres):
        return door
    return door.upstream if isinstance(door, PgBouncer) else door.postgres


def pooler_behind(door: Door) -> PgBouncer | None:
    """Return the PgBouncer that some of the door's clients come through."""
    if isinstance(door, Postgres):
        return None
    return door if isinstance(door, PgBouncer) else door.pgbouncer


def _as_it_is(server: Postgres) -> Mapping[str, object]:
    return {}


def _verified(server: Postgres) -> Mapping[str, object]:
    return {"sslmode": "verify-full", "sslrootcert": server.ca_file, "channel_binding": "require"}


@dataclass(frozen=True)
class Target:
    """Name the fixture of a door, and what a user writes to get through it: DATABASE_POOLER and arguments of url()."""

    name: str
    door: str
    pooler: str = "auto"
    writes: Callable[[Postgres], Mapping[str, object]] = _as_it_is
    needs: str | None = None  # another fixture, for the time of a test

    def __str__(self) -> str:
        return self.name


DEFAULT = Target("18", "postgres")
VERIFIED = Target("15-tls", "postgres15_tls", writes=_verified)
NEON = Target("neon", "neon", needs="neon_names")
POOLERS = (
    Target("pgbouncer", "pgbouncer", "transaction"),
    Target("pgbouncer-session", "pgbouncer_session", "session"),
    Target("recent-pgbouncer", "recent_pgbouncer", "transaction"),
    Target("recent-pgbouncer-prepared", "recent_pgbouncer_prepared", "transaction"),
    Target("neon-pooled", "neon", writes=lambda server: {"pooled": True}, needs="neon_names"),
)
STOCK = Target("one-trip-off", "postgres", needs="one_trip_off")
OTHERS = (STOCK, VERIFIED, NEON, *POOLERS)

# `make test` runs the suite on the default and a handful of promises on the others; `-m slow` runs all on all.
EVERY = (DEFAULT, *(pytest.param(target, marks=pytest.mark.slow) for target in OTHERS))

# Left out everywhere but on the default, because no server is asked.
ALONE = {
    "test_a_deaf_host": "nobody answers there",
    "test_a_deaf_host_within_a_deadline": "nobody answers there",
    "test_an_unknown_host": "nobody is there",
    "test_refused": "nobody listens there",
    "test_a_socket_that_is_not_there": "nobody listens there",
    "test_the_wrong_face_for_a_driver_is_refused": "nothing is connected",
    "test_what_cannot_be_meant_is_refused": "nothing is connected",
    "test_a_str_is_never_sql": "nothing is connected",
}
