"""The first user."""

from sqlmodel import Session, select

from .config import settings
from .models import User


def init_db(session: Session) -> User:
    """Add the first user unless it is there; the tables come from the migrations."""
    user = session.exec(select(User).where(User.email == settings.first_user)).first()
    if user is None:
        user = User(email=settings.first_user)
        session.add(user)
    return user
