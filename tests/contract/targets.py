"""What the suite runs on: each way to a PostgreSQL that a user may have."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pytest

from tests.harness.postgres import Postgres


def _nothing(server: Postgres) -> Mapping[str, object]:
    return {}


def _verified(server: Postgres) -> Mapping[str, object]:
    return {"sslmode": "verify-full", "sslrootcert": server.ca_file, "channel_binding": "require"}


@dataclass(frozen=True)
class Target:
    """Name the session's fixture that has ``url(database)``, and what a user writes to get through it."""

    name: str
    door: str
    pooler: str = "auto"
    query: Callable[[Postgres], Mapping[str, object]] = _nothing

    def __str__(self) -> str:
        return self.name


DEFAULT = Target("18", "postgres")
OTHERS = (
    Target("15-tls", "postgres15_tls", query=_verified),
    Target("pgbouncer", "pgbouncer", "transaction"),
    Target("pgbouncer-session", "pgbouncer_session", "session"),
    Target("recent-pgbouncer", "recent_pgbouncer", "transaction"),
    Target("recent-pgbouncer-prepared", "recent_pgbouncer_prepared", "transaction"),
)

# `make test` runs the suite on the default and a handful of promises on the others; `-m slow` runs all on all.
EVERY = [pytest.param(DEFAULT, id=str(DEFAULT)), *(pytest.param(t, id=str(t), marks=pytest.mark.slow) for t in OTHERS)]

# Left out everywhere but on the default, because no server is asked.
ALONE = {
    "test_a_deaf_host": "nobody answers there",
    "test_refused": "nobody listens there",
    "test_a_socket_that_is_not_there": "nobody listens there",
    "test_the_wrong_face_for_a_driver_is_refused": "nothing is connected",
    "test_what_cannot_be_meant_is_refused": "nothing is connected",
    "test_a_str_is_never_sql": "nothing is connected",
}
