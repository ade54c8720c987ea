"""What the suite has to know before it opens its URL: how it treats a PostgreSQL, and the names of dialects."""

import sqlalchemy.dialects.postgresql.provision  # noqa: F401  a dialect outside SQLAlchemy is not known to be one
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg, PGExecutionContext_psycopg


class MiscountingContext(PGExecutionContext_psycopg):
    """Count one row too many."""

    @property
    def rowcount(self) -> int:
        """Return what is wrong."""
        return super().rowcount + 1


class MiscountingDialect(PGDialect_psycopg):
    """Be wrong, to show that the suite finds it."""

    execution_ctx_cls = MiscountingContext
    supports_statement_cache = True


registry.register("postgresql.miscounting", __name__, MiscountingDialect.__name__)
# SQLAlchemy finds it by create_async_engine("postgresql+onetrip://"), which the suite does not call.
registry.register("postgresql.onetrip_async", "onetrip._engine.dialects.psycopg", "AsyncTripPsycopg")
