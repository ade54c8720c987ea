"""SQLAlchemy's dialects, standing on the network floor: what needs no answer of its own rides with a statement.

``postgresql+onetrip`` (psycopg 3, sync and async), ``postgresql+onetrip_psycopg2`` and ``postgresql+onetrip_asyncpg``.
Each subclasses SQLAlchemy's own, keeps its driver's name in ``dialect.driver``, and lives at the DBAPI connection:
whoever takes a raw connection still gets transactions.
"""

from sqlalchemy.dialects import registry

# Unasked, SQLAlchemy finds them by reading what every installed distribution says of itself.
for _name, _home, _class in (
    ("onetrip", "psycopg", "TripPsycopg"),
    ("onetrip_psycopg2", "psycopg2", "TripPsycopg2"),
    ("onetrip_asyncpg", "asyncpg", "TripAsyncpg"),
):
    registry.register(f"postgresql.{_name}", f"{__name__}.{_home}", _class)
