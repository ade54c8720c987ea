"""Every statement on ``tasks``. Each names its user, and row-level security would hold if one forgot to."""

from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import TableValuedAlias, any_, delete, func, update
from sqlalchemy.orm import aliased
from sqlalchemy.sql.dml import ReturningDelete, ReturningUpdate
from sqlmodel import SQLModel, col, select
from sqlmodel.sql.expression import SelectOfScalar

from app.models import Priority, Task
from app.paging import ORDERS, Sort
from app.schemas import TaskNew, Words

T = TypeVar("T")
TASKS = SQLModel.metadata.tables["tasks"]


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
    mine = select(Task).where(col(Task.user_id) == user_id)
    order = ORDERS[query.sort]
    if not query.q:
        return _narrowed(mine, Task, query)
    found = aliased(Task, _matches(query.q), adapt_on_names=True)
    page = _narrowed(select(found.id), found, query)
    # As an array, so that no estimate can talk the planner into reading more rows than these by their primary key.
    return mine.where(col(Task.id) == any_(func.array(page.scalar_subquery()))).order_by(*order.columns(Task))


def _narrowed(statement: SelectOfScalar[T], task: type[Task], query: TaskQuery) -> SelectOfScalar[T]:
    """Filter and sort ``task``, be it the table or what a search found, and cut out the page."""
    order = ORDERS[query.sort]
    if query.completed is not None:
        statement = statement.where(col(task.completed) == query.completed)
    if query.priority is not None:
        statement = statement.where(col(task.priority) == query.priority)
    if query.cursor is not None:
        statement = statement.where(order.after(query.cursor, task))
    return statement.order_by(*order.columns(task)).limit(query.limit + 1)


def _matches(words: str) -> TableValuedAlias:
    """Call the search function of the migration; its rows have what a list is filtered and sorted by."""
    names = ("id", "created_at", "due_date", "priority", "completed")
    return func.matching_tasks(words).table_valued(*(TASKS.c[name] for name in names))


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
