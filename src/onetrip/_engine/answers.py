"""What a ping and a writing statement give back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Ping:
    """Say that the database answered, how long it took, and what it is."""

    seconds: float
    server_version: str


@dataclass(frozen=True, slots=True)
class Done:
    """Hold what a writing statement did; it is committed."""

    rowcount: int
    rows: tuple[Any, ...] = ()

    def all(self) -> list[Any]:
        """Return the rows of RETURNING, typed as SQLAlchemy's session types them."""
        return list(self.rows)
