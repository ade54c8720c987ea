"""What goes in and out over HTTP. Everything is bounded; what PostgreSQL cannot store is refused here, with a 422."""

import json
from datetime import date, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from app.models import Priority

MAX_METADATA_BYTES = 16_384


def _storable_text(value: str) -> str:
    if "\0" in value:
        raise ValueError("text must not contain the character U+0000")
    return value


def _storable_json(value: dict[str, Any]) -> dict[str, Any]:
    try:
        encoded = json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    except (ValueError, RecursionError):  # NaN, half a surrogate pair, a number or a nesting beyond reason
        raise ValueError("metadata must be JSON: finite numbers, valid Unicode, reasonable depth") from None
    if len(encoded) > MAX_METADATA_BYTES:
        raise ValueError(f"metadata must not exceed {MAX_METADATA_BYTES} bytes, this is {len(encoded)}")
    if b"\\u0000" in encoded:
        raise ValueError("metadata must not contain the character U+0000")
    return value


Words = Annotated[str, StringConstraints(strip_whitespace=True, max_length=200), AfterValidator(_storable_text)]
Title = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200), AfterValidator(_storable_text)
]
Description = Annotated[str, StringConstraints(max_length=10_000), AfterValidator(_storable_text)]
Tag = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=50), AfterValidator(_storable_text)
]
DueDate = Annotated[date, Field(ge=date(1900, 1, 1), le=date(2999, 12, 31))]
TaskId = Annotated[int, Field(ge=1, le=2**63 - 1)]


class TaskNew(BaseModel):
    """A task to create; who owns it is in the path and the token, never in the body."""

    model_config = ConfigDict(extra="forbid")

    title: Title
    description: Description = ""
    priority: Priority = Priority.MEDIUM
    due_date: DueDate | None = None
    tags: Annotated[list[Tag], Field(max_length=20)] = []
    metadata: Annotated[dict[str, Any], AfterValidator(_storable_json)] = {}


class TaskChange(TaskNew):
    """What to change of a task; a field that is not sent stays as it is."""

    title: Title = ""
    completed: bool = False


class TaskOut(BaseModel):
    """A task as its owner sees it."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    title: str
    description: str
    completed: bool
    priority: Priority
    due_date: date | None
    tags: list[str]
    metadata: dict[str, Any] = Field(validation_alias="meta")
    created_at: datetime
    updated_at: datetime


class TaskPage(BaseModel):
    """One page of tasks, and the cursor that asks for the next; null means this was the last."""

    items: list[TaskOut]
    next: str | None
