"""The sessions of a request: they act as ``tasks_app``, which owns nothing, for the one user of the request.

The identity is part of the transaction, so it cannot outlive it on a pooled connection; without it there are no rows.
"""

from collections.abc import AsyncIterator
from typing import Annotated, TypedDict

from fastapi import Depends, Request
from sqlmodel.ext.asyncio.session import AsyncSession

from app.auth import CurrentUser
from onetrip import AsyncDatabase


class Identity(TypedDict):
    """What a transaction needs to act for a user; give it to any method of the database: ``**acting_for(user_id)``."""

    role: str
    local: dict[str, str]


def acting_for(user_id: str) -> Identity:
    """Return the identity under which row-level security shows this user's tasks, and nobody else's."""
    return {"role": "tasks_app", "local": {"app.user_id": user_id}}


async def reading(request: Request, user_id: CurrentUser) -> AsyncIterator[AsyncSession]:
    """Open a READ ONLY transaction for the user of the request."""
    db: AsyncDatabase = request.app.state.db
    async with db.read(**acting_for(user_id)) as session:
        yield session


async def writing(request: Request, user_id: CurrentUser) -> AsyncIterator[AsyncSession]:
    """Open a transaction for the user of the request; it is committed before the response leaves."""
    db: AsyncDatabase = request.app.state.db
    async with db.transaction(**acting_for(user_id)) as session:
        yield session


# scope="function" ends the transaction before the response is sent: a failed COMMIT is an error response.
ReadTasks = Annotated[AsyncSession, Depends(reading, scope="function")]
WriteTasks = Annotated[AsyncSession, Depends(writing, scope="function")]
