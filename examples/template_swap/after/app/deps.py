"""What routes depend on."""

from typing import Annotated

from fastapi import Depends, HTTPException
from sqlmodel import Session

from .db import db
from .models import User
from .security import TokenUser

SessionDep = Annotated[Session, Depends(db.get_session)]


def get_current_user(session: SessionDep, user_id: TokenUser) -> User:
    """Return the user who is asking."""
    user = session.get(User, user_id)
    if user is None:
        raise HTTPException(404, "User not found")
    if not user.is_active:
        raise HTTPException(400, "Inactive user")
    return user


CurrentUser = Annotated[User, Depends(get_current_user)]
