"""What makes the demo easy to try: its users, and tokens for them. Only there in development and test."""

from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field
from sqlmodel import col, select

from app.auth import MAX_USER_ID, Tokens
from app.models import User
from onetrip import AsyncDatabase

router = APIRouter(prefix="/demo", tags=["demo, only in development and test"])


class DemoUser(BaseModel):
    """Someone to be."""

    id: str
    name: str


class TokenRequest(BaseModel):
    """Who to be."""

    user_id: Annotated[str, Field(min_length=1, max_length=MAX_USER_ID)]


class Token(BaseModel):
    """Proof of being that user, until the demo ends."""

    token: str


@router.get("/users")
async def users(request: Request) -> list[DemoUser]:
    """List the first users."""
    db: AsyncDatabase = request.app.state.db
    rows = await db.fetch_all(select(User).order_by(col(User.id)).limit(20))
    return [DemoUser(id=user.id, name=user.name) for user in rows]


@router.post("/token")
async def token(request: Request, wanted: TokenRequest) -> Token:
    """Be any user of the demo."""
    tokens: Tokens = request.app.state.tokens
    return Token(token=tokens.issue(wanted.user_id))
