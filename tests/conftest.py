"""Servers and rules that every test shares."""

import os
from collections.abc import Callable, Iterator
from importlib.metadata import version
from typing import TypeVar

import pytest

from tests.harness import binaries
from tests.harness.budgets import Ledger
    pgbouncer.free(database)


@pytest.fixture(scope="session")
def neon(postgres: Postgres, pgbouncer: PgBouncer) -> Iterator[NeonProxy]:
    """Play Neon before ``postgres`` and ``pgbouncer``; a test that suspends it starts all three of its own."""
    with NeonProxy(postgres, pgbouncer) as proxy:
        yield proxy


@pytest.fixture
def neon_names(neon: NeonProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Neon's hosts lead to ``neon``, and its authority be one that this machine knows, as Neon's public one is."""
    resolve_names(monkeypatch)
    monkeypatch.setenv("PGSSLROOTCERT", str(neon.ca_file))


@pytest.fixture
def neon_url(neon: NeonProxy, neon_names: None, database: str) -> str:
    """Return the direct URL of the test's own database as Neon's console shows it."""
    return neon.url(database)


@pytest.fixture
def neon_pooled_url(neon: NeonProxy, neon_names: None, database: str, pooled_url: str) -> str:
    """Return the ``-pooler`` URL of the same database; ``pooled_url`` clears the pooler up."""
    return neon.url(database, pooled=True)
