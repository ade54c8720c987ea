"""psycopg2, as SQLAlchemy sees it."""

from __future__ import annotations

from typing import Any

from sqlalchemy.dialects.postgresql.psycopg2 import PGDialect_psycopg2

from onetrip._engine.dialects.base import TripDialect
from onetrip._engine.dialects.psycopg2_connection import tripping


class TripPsycopg2(TripDialect, PGDialect_psycopg2):
    """Be SQLAlchemy's dialect for psycopg2, on the network floor.

    ``use_native_hstore`` is off: switched on, it asks the server for a type first. Columns of type HSTORE give
    dictionaries all the same; only a textual statement sees the difference.
    """

    supports_statement_cache = True

    def __init__(self, *, use_native_hstore: bool = False, **options: Any) -> None:
        super().__init__(use_native_hstore=use_native_hstore, **options)  # type: ignore[no-untyped-call]

    def connect(self, *arguments: Any, **options: Any) -> Any:
        options["connection_factory"] = tripping(options.get("connection_factory"))
        return super().connect(*arguments, **options)

    def unset_isolation_level(self, dbapi_connection: Any) -> None:
        dbapi_connection.set_isolation_level(None)
