"""Keyset pagination: the next page starts right after the last row, so a deep page costs what the first one costs."""

from base64 import b64decode, urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AwareDatetime, ConfigDict, TypeAdapter
from sqlalchemy import (
    TIMESTAMP,
    BigInteger,
    ColumnElement,
    Date,
    SQLColumnExpression,
    UnaryExpression,
    func,
    literal,
    literal_column,
    tuple_,
)
from sqlalchemy.types import TypeEngine
from sqlmodel import col

from app.models import Priority, PriorityNumber, Task
from app.schemas import TaskId

STRICT = ConfigDict(strict=True)
NEVER = literal_column("'infinity'::date", Date)


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:  # 9999-12-31T23:59-01:00 is no moment that a driver could send
        raise ValueError("beyond the calendar") from None


Moment = Annotated[AwareDatetime, AfterValidator(_in_utc)]


class Sort(StrEnum):
    """How a list is sorted: newest, most pressing, or most important first."""

    CREATED = "created"
    DUE = "due"
    PRIORITY = "priority"


class InvalidCursor(ValueError):
    """Report a cursor that we did not give out for this sort order."""


@dataclass(frozen=True)
class Order:
    """One sort order: its key in Python and in SQL, the way down, and what its cursor holds. ``id`` breaks ties."""

    attribute: str
    key: Callable[[type[Task]], SQLColumnExpression[Any]]
    sql_type: TypeEngine[Any]
    cursor: TypeAdapter[Any]
    descending: bool

    def columns(self, task: type[Task]) -> list[UnaryExpression[Any]]:
        """Return what to ORDER BY."""
        both: list[SQLColumnExpression[Any]] = [self.key(task), col(task.id)]
        return [column.desc() if self.descending else column.asc() for column in both]

    def after(self, cursor: str, task: type[Task]) -> ColumnElement[bool]:
        """Return the condition for rows after the cursor; compared as one row, so that it is one range of the index.

        Raise InvalidCursor for anything that ``cursor_at`` of this order would not have made.
        """
        try:
            raw = b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
            _, value, task_id = self.cursor.validate_json(raw)
        except ValueError:
            raise InvalidCursor("this cursor is not one of this list in this sort order") from None
        last = tuple_(NEVER if value is None else literal(value, self.sql_type), literal(task_id, BigInteger))
        here = tuple_(self.key(task), col(task.id))
        return here < last if self.descending else here > last

    def cursor_at(self, sort: Sort, task: Task) -> str:
        """Return an opaque cursor that continues after ``task``."""
        raw = self.cursor.dump_json((sort, getattr(task, self.attribute), task.id))
        return urlsafe_b64encode(raw).decode().rstrip("=")


ORDERS = {
    Sort.CREATED: Order(
        "created_at",
        lambda task: col(task.created_at),
        TIMESTAMP(timezone=True),
        TypeAdapter(tuple[Literal[Sort.CREATED], Moment, TaskId], config=STRICT),
        descending=True,
    ),
    Sort.DUE: Order(
        "due_date",
        lambda task: func.least(col(task.due_date), NEVER),
        Date(),
        TypeAdapter(tuple[Literal[Sort.DUE], date | None, TaskId], config=STRICT),
        descending=False,
    ),
    Sort.PRIORITY: Order(
        "priority",
        lambda task: col(task.priority),
        PriorityNumber(),
        TypeAdapter(tuple[Literal[Sort.PRIORITY], Priority, TaskId], config=STRICT),
        descending=True,
    ),
}
