"""What routes depend on."""

from collections.abc import Iterator
from typing import Annotated

from fastapi import Depends, HTTPException
from sqlmodel import Session

from .db import engine
from .models import User
from .security import TokenUser


def get_db() -> Iterator[Session]:
    """Give a request its session."""
    with Session(engine) as session:
        yield session


SessionDep = Annotated[Session, Depends(get_db)]


def get_current_user(session: SessionDep, user_id: TokenUser) -> User:
    """Return the user who is asking."""
    user = session.get(User, user_id)
    if user is None:
        raise HTTPException(404, "User not found")
    if not user.is_active:
        raise HTTPException(400, "Inactive user")
    return user


CurrentUser = Annotated[User, Depends(get_current_user)]
