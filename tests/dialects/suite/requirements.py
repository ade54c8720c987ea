"""What SQLAlchemy's suite asks of PostgreSQL: everything that some database has, but what PostgreSQL lacks."""

from typing import Any

from sqlalchemy.testing.config import Config
from sqlalchemy.testing.exclusions import BooleanPredicate, compound, only_on
from sqlalchemy.testing.exclusions import open as asked
from sqlalchemy.testing.requirements import SuiteRequirements

LACKING = {
    "computed_columns_default_persisted",
    "dbapi_lastrowid",
    "emulated_lastrowid",
    "emulated_lastrowid_even_with_sequences",
    "fetch_percent",
    "foreign_keys_reflect_as_index",
    "materialized_views_reflect_pk",
    "nvarchar_types",
    "reflect_indexes_with_ascdesc_as_expression",
    "repeated_remote_col_foreign_keys",
    "unique_index_reflect_as_unique_constraints",
}


class PostgreSQL(SuiteRequirements):
    """Ask what SQLAlchemy leaves out until a dialect says otherwise: whatever its next version adds is asked too."""

    def __getattribute__(self, name: str) -> Any:
        requirement = super().__getattribute__(name)
        return asked() if name not in LACKING and _is_closed(requirement) else requirement

    @property
    def json_deserializer_binary(self) -> compound:
        """Ask for bytes in ``json_deserializer`` where the driver hands them over."""
        return only_on("+psycopg")

    def get_order_by_collation(self, config: Config) -> str:
        """Name a collation that every server has."""
        return "POSIX"


def _is_closed(requirement: object) -> bool:
    skips = requirement.skips if isinstance(requirement, compound) else ()
    return any(isinstance(skip, BooleanPredicate) and skip.value for skip in skips)
