"""Keyset pagination: the next page starts right after the last row, so a deep page costs what the first one costs."""

from base64 import b64decode, urlsafe_b64encode
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any, Literal

from pydantic import AwareDatetime, ConfigDict, TypeAdapter
from sqlalchemy import (
    TIMESTAMP,
    BigInteger,
    ColumnElement,
    Date,
    SQLColumnExpression,
    UnaryExpression,
    literal,
    literal_column,
    tuple_,
)
from sqlalchemy.types import TypeEngine
from sqlmodel import col

from app.models import DUE_OR_NEVER, Priority, PriorityNumber, Task
from app.schemas import TaskId

STRICT = ConfigDict(strict=True)
NEVER = literal_column("'infinity'::date", Date)


class Sort(StrEnum):
    """How a list is sorted: newest, most pressing, or most important first."""

    CREATED = "created"
    DUE = "due"
    PRIORITY = "priority"


class InvalidCursor(ValueError):
    """Report a cursor that we did not give out for this sort order."""


@dataclass(frozen=True)
class Order:
    """One sort order: its key in SQL and in Python, the way down, and what its cursor holds. ``id`` breaks ties."""

    key: SQLColumnExpression[Any]
    type: TypeEngine[Any]
    attribute: str
    descending: bool
    cursor: TypeAdapter[Any]

    def columns(self) -> list[UnaryExpression[Any]]:
        """Return what to ORDER BY."""
        both: list[SQLColumnExpression[Any]] = [self.key, col(Task.id)]
        return [column.desc() if self.descending else column.asc() for column in both]

    def after(self, cursor: str) -> ColumnElement[bool]:
        """Return the condition for rows after the cursor; compared as one row, so that it is one range of the index.

        Raise InvalidCursor for anything that ``cursor_at`` of this order would not have made.
        """
        try:
            raw = b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
            _, value, task_id = self.cursor.validate_json(raw)
        except ValueError:
            raise InvalidCursor("this cursor is not one of this list in this sort order") from None
        last = tuple_(NEVER if value is None else literal(value, self.type), literal(task_id, BigInteger))
        here = tuple_(self.key, col(Task.id))
        return here < last if self.descending else here > last

    def cursor_at(self, sort: Sort, task: Task) -> str:
        """Return an opaque cursor that continues after ``task``."""
        raw = self.cursor.dump_json((sort, getattr(task, self.attribute), task.id))
        return urlsafe_b64encode(raw).decode().rstrip("=")


ORDERS = {
    Sort.CREATED: Order(
        col(Task.created_at),
        TIMESTAMP(timezone=True),
        "created_at",
        descending=True,
        cursor=TypeAdapter(tuple[Literal[Sort.CREATED], AwareDatetime, TaskId], config=STRICT),
    ),
    Sort.DUE: Order(
        literal_column(DUE_OR_NEVER.text, Date),
        Date(),
        "due_date",
        descending=False,
        cursor=TypeAdapter(tuple[Literal[Sort.DUE], date | None, TaskId], config=STRICT),
    ),
    Sort.PRIORITY: Order(
        col(Task.priority),
        PriorityNumber(),
        "priority",
        descending=True,
        cursor=TypeAdapter(tuple[Literal[Sort.PRIORITY], Priority, TaskId], config=STRICT),
    ),
}
