"""Every statement on ``tasks``. Each names its user, and row-level security would hold if one forgot to."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import delete, func, update
from sqlalchemy.sql.dml import ReturningDelete, ReturningUpdate
from sqlmodel import col, select
from sqlmodel.sql.expression import SelectOfScalar

from app.models import Priority, Task
from app.paging import ORDERS, Sort
from app.schemas import TaskNew, Words


class TaskQuery(BaseModel):
    """Which tasks to list, and from where on."""

    model_config = ConfigDict(extra="forbid")

    completed: bool | None = None
    priority: Priority | None = None
    q: Words = Field(default="", description='Words to find; "a phrase", or, -not. Looks at the 1,000 newest matches.')
    sort: Sort = Field(default=Sort.CREATED, description="Newest, soonest due or most important first.")
    cursor: Annotated[str, Field(max_length=200)] | None = Field(default=None, description="`next` of the page before.")
    limit: int = Field(default=50, ge=1, le=100)


def tasks_page(user_id: str, query: TaskQuery) -> SelectOfScalar[Task]:
    """Select one page and one row more, which tells whether there is a next page."""
    order = ORDERS[query.sort]
    statement = select(Task).where(col(Task.user_id) == user_id)
    if query.completed is not None:
        statement = statement.where(col(Task.completed) == query.completed)
    if query.priority is not None:
        statement = statement.where(col(Task.priority) == query.priority)
    if query.q:
        matches = select(func.matching_tasks(query.q).column_valued("match"))
        statement = statement.where(col(Task.id).in_(matches))
    if query.cursor is not None:
        statement = statement.where(order.after(query.cursor))
    return statement.order_by(*order.columns()).limit(query.limit + 1)


def one_task(user_id: str, task_id: int) -> SelectOfScalar[Task]:
    """Select a task by its id."""
    return select(Task).where(col(Task.user_id) == user_id, col(Task.id) == task_id)


def new_task(user_id: str, new: TaskNew) -> Task:
    """Make the row for a new task."""
    return Task(
        user_id=user_id,
        title=new.title,
        description=new.description,
        priority=new.priority,
        due_date=new.due_date,
        tags=new.tags,
        meta=new.metadata,
    )


def change_task(user_id: str, task_id: int, changes: dict[str, Any]) -> ReturningUpdate[Task]:
    """Change a task and return it, in one statement: nobody can slip in between a read and a write."""
    mine = (col(Task.user_id) == user_id, col(Task.id) == task_id)
    return update(Task).where(*mine).values(**changes, updated_at=func.now()).returning(Task)


def delete_task(user_id: str, task_id: int) -> ReturningDelete[int]:
    """Delete a task and return its id."""
    return delete(Task).where(col(Task.user_id) == user_id, col(Task.id) == task_id).returning(col(Task.id))
