"""The database layer for Python on serverless Postgres.

Names are loaded when they are first used: a cold start pays for what it needs.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from onetrip import errors
    from onetrip._engine.budget import deadline
    from onetrip.aio import AsyncDatabase
    from onetrip.database import Database
    from onetrip.settings import Settings

__version__ = "0.1.0"
__all__ = ["AsyncDatabase", "Database", "Settings", "deadline", "errors"]

_HOMES = {
    "AsyncDatabase": "onetrip.aio",
    "Database": "onetrip.database",
    "Settings": "onetrip.settings",
    "deadline": "onetrip._engine.budget",
}


def __getattr__(name: str) -> Any:
    if name == "errors":
        return import_module("onetrip.errors")
    if name not in _HOMES:
        raise AttributeError(f"module 'onetrip' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
