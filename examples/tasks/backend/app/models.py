"""The tables: Better Auth's ``user``, which we only refer to, and our own ``tasks``."""

from datetime import date, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Computed,
    Dialect,
    ForeignKey,
    Identity,
    Index,
    SmallInteger,
    Text,
    TypeDecorator,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TIMESTAMP, TSVECTOR
from sqlmodel import Field, SQLModel


class Priority(StrEnum):
    """How much a task matters, least first."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


class PriorityNumber(TypeDecorator[Priority]):
    """Store a priority as 1, 2 or 3: a number sorts by meaning, where text would put "high" before "low"."""

    impl = SmallInteger
    cache_ok = True
    members = tuple(Priority)

    def process_bind_param(self, value: Priority | None, dialect: Dialect) -> int | None:  # noqa: ARG002
        """Turn "low" into 1."""
        return None if value is None else self.members.index(value) + 1

    def process_result_value(self, value: int | None, dialect: Dialect) -> Priority | None:  # noqa: ARG002
        """Turn 1 into "low"."""
        return None if value is None else self.members[value - 1]


class User(SQLModel, table=True):
    """Someone with an account. The table is Better Auth's; we refer to it and never write to it."""

    __tablename__ = "user"

    id: str = Field(sa_column=Column(Text, primary_key=True))
    name: str = Field(sa_column=Column(Text, nullable=False))


# Written as PostgreSQL prints it, so that `alembic revision --autogenerate` sees no difference.
SEARCH = (
    """(setweight(to_tsvector('english'::regconfig, title), 'A'::"char") """
    """|| setweight(to_tsvector('english'::regconfig, description), 'B'::"char"))"""
)


class Task(SQLModel, table=True):
    """Something a user wants done.

    Each of the three lists has one index: user, sort key, ``id`` for ties, then what lists filter by. A page is a
    range of one index wherever it starts, and filters are checked inside the index, so that "the three open ones among
    100,000 done" visits no row in vain. As ``user_id`` leads, they serve the foreign key, too. The fourth index is the
    search's: see ``matching_tasks`` in the migration.
    """

    __tablename__ = "tasks"
    __table_args__ = (
        Column("search", TSVECTOR, Computed(SEARCH, persisted=True)),
        CheckConstraint("priority BETWEEN 1 AND 3", name="tasks_priority_check"),
        Index("tasks_by_created", "user_id", "created_at", "id", "completed", "priority"),
        # Without a due date comes last: LEAST passes over NULL. COALESCE would read better, but PostgreSQL counts it as
        # leaky, and under row-level security a comparison with it would be checked row by row, not in the index.
        Index("tasks_by_due", "user_id", text("LEAST(due_date, 'infinity'::date)"), "id", "completed", "priority"),
        Index("tasks_by_priority", "user_id", "priority", "id", "completed"),
        # fastupdate off: each write pays its own share at once, instead of one unlucky request paying for thousands.
        Index("tasks_search", "user_id", "search", postgresql_using="gin", postgresql_with={"fastupdate": "off"}),
    )
    __mapper_args__ = {"exclude_properties": ["search"]}  # it is looked into, never loaded

    id: int = Field(default=None, sa_column=Column(BigInteger, Identity(always=True), primary_key=True))
    user_id: str = Field(sa_column=Column(Text, ForeignKey("user.id", ondelete="CASCADE"), nullable=False))
    title: str = Field(sa_column=Column(Text, nullable=False))
    description: str = Field(default="", sa_column=Column(Text, nullable=False, server_default=""))
    completed: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    priority: Priority = Field(
        default=Priority.MEDIUM, sa_column=Column(PriorityNumber, nullable=False, server_default=text("2"))
    )
    due_date: date | None = None
    tags: list[str] = Field(
        default_factory=list, sa_column=Column(ARRAY(Text), nullable=False, server_default=text("'{}'"))
    )
    meta: dict[str, Any] = Field(  # SQLModel keeps the name "metadata" for itself
        default_factory=dict, sa_column=Column("metadata", JSONB, nullable=False, server_default=text("'{}'"))
    )
    created_at: datetime = Field(
        default=None, sa_column=Column(TIMESTAMP(timezone=True), nullable=False, server_default=func.now())
    )
    updated_at: datetime = Field(
        default=None, sa_column=Column(TIMESTAMP(timezone=True), nullable=False, server_default=func.now())
    )
