"""The REST interface to one user's tasks."""

from typing import Annotated

from fastapi import APIRouter, HTTPException, Path, Query

from app.auth import CurrentUser
from app.models import Task
from app.paging import ORDERS, InvalidCursor
from app.queries import TaskQuery, change_task, delete_task, new_task, one_task, tasks_page
from app.schemas import TaskChange, TaskId, TaskNew, TaskOut, TaskPage
from app.sessions import ReadTasks, WriteTasks

Id = Annotated[TaskId, Path()]
ANSWERS = {401: "No valid token", 403: "Another user's path", 404: "No such task of yours"}

router = APIRouter(
    prefix="/api/{user_id}/tasks",
    tags=["tasks"],
    responses={status: {"description": description} for status, description in ANSWERS.items()},
)


@router.post("", status_code=201)
async def create(user_id: CurrentUser, new: TaskNew, session: WriteTasks) -> TaskOut:
    """Create a task."""
    task = new_task(user_id, new)
    session.add(task)
    await session.flush()
    return TaskOut.model_validate(task)


@router.get("")
async def list_tasks(user_id: CurrentUser, query: Annotated[TaskQuery, Query()], session: ReadTasks) -> TaskPage:
    """List tasks: filtered, searched, sorted, one page at a time."""
    try:
        statement = tasks_page(user_id, query)
    except InvalidCursor as error:
        raise HTTPException(422, str(error)) from None
    tasks = (await session.exec(statement)).all()
    page, more = tasks[: query.limit], len(tasks) > query.limit
    return TaskPage(
        items=[TaskOut.model_validate(task) for task in page],
        next=ORDERS[query.sort].cursor_at(query.sort, page[-1]) if more else None,
    )


@router.get("/{task_id}")
async def get(user_id: CurrentUser, task_id: Id, session: ReadTasks) -> TaskOut:
    """Show a task."""
    return _found((await session.exec(one_task(user_id, task_id))).one_or_none())


@router.patch("/{task_id}")
async def update(user_id: CurrentUser, task_id: Id, change: TaskChange, session: WriteTasks) -> TaskOut:
    """Change some fields of a task."""
    changes = change.model_dump(exclude_unset=True)
    if "metadata" in changes:
        changes["meta"] = changes.pop("metadata")
    return _found(await session.scalar(change_task(user_id, task_id, changes)))


@router.post("/{task_id}/complete")
async def complete(user_id: CurrentUser, task_id: Id, session: WriteTasks) -> TaskOut:
    """Mark a task as done; doing so twice changes nothing."""
    return _found(await session.scalar(change_task(user_id, task_id, {"completed": True})))


@router.delete("/{task_id}", status_code=204)
async def delete(user_id: CurrentUser, task_id: Id, session: WriteTasks) -> None:
    """Delete a task."""
    if await session.scalar(delete_task(user_id, task_id)) is None:
        _found(None)


def _found(task: Task | None) -> TaskOut:
    if task is None:
        raise HTTPException(404, "you have no such task")
    return TaskOut.model_validate(task)
