"""Users and items over HTTP."""

import uuid
from typing import Any

from fastapi import APIRouter, HTTPException
from sqlmodel import col, func, select

from .deps import CurrentUser, SessionDep
from .models import Item, ItemCreate, ItemPublic, ItemsPublic, ItemUpdate, User, UserCreate, UserPublic

router = APIRouter()


@router.post("/users", response_model=UserPublic)
def sign_up(session: SessionDep, body: UserCreate) -> Any:
    """Add a user."""
    if session.exec(select(User).where(User.email == body.email)).first():
        raise HTTPException(409, "A user with this email address exists already")
    user = User.model_validate(body)
    session.add(user)
    return user


@router.get("/users/me", response_model=UserPublic)
def read_me(user: CurrentUser) -> Any:
    """Return who is asking."""
    return user


@router.get("/items", response_model=ItemsPublic)
def read_items(session: SessionDep, user: CurrentUser, skip: int = 0, limit: int = 100) -> Any:
    """Return a page of one's items."""
    mine = col(Item.owner_id) == user.id
    count = session.exec(select(func.count()).select_from(Item).where(mine)).one()
    items = session.exec(select(Item).where(mine).order_by(Item.title).offset(skip).limit(limit)).all()
    return ItemsPublic(data=[ItemPublic.model_validate(item) for item in items], count=count)


@router.post("/items", response_model=ItemPublic)
def create_item(session: SessionDep, user: CurrentUser, body: ItemCreate) -> Any:
    """Add an item."""
    item = Item.model_validate(body, update={"owner_id": user.id})
    session.add(item)
    return item


@router.get("/items/{item_id}", response_model=ItemPublic)
def read_item(session: SessionDep, user: CurrentUser, item_id: uuid.UUID) -> Any:
    """Return one item."""
    return owned(session, user, item_id)


@router.put("/items/{item_id}", response_model=ItemPublic)
def update_item(session: SessionDep, user: CurrentUser, item_id: uuid.UUID, body: ItemUpdate) -> Any:
    """Change one item."""
    item = owned(session, user, item_id)
    item.sqlmodel_update(body.model_dump(exclude_unset=True))
    session.add(item)
    return item


@router.delete("/items/{item_id}")
def delete_item(session: SessionDep, user: CurrentUser, item_id: uuid.UUID) -> dict[str, str]:
    """Delete one item."""
    session.delete(owned(session, user, item_id))
    return {"message": "Item deleted"}


def owned(session: SessionDep, user: User, item_id: uuid.UUID) -> Item:
    """Return an item that is the user's own."""
    item = session.get(Item, item_id)
    if item is None:
        raise HTTPException(404, "Item not found")
    if item.owner_id != user.id:
        raise HTTPException(400, "Not enough permissions")
    return item
