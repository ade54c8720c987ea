"""Users and their items, and what goes in and out over HTTP."""

import uuid

from sqlmodel import Field, SQLModel


class UserCreate(SQLModel):
    """What signing up takes."""

    email: str = Field(unique=True, index=True, max_length=255)
    full_name: str | None = Field(default=None, max_length=255)


class User(UserCreate, table=True):
    """One user."""

    id: uuid.UUID = Field(default_factory=uuid.uuid4, primary_key=True)
    is_active: bool = True


class UserPublic(UserCreate):
    """What others see of a user."""

    id: uuid.UUID


class ItemCreate(SQLModel):
    """What making an item takes."""

    title: str = Field(min_length=1, max_length=255)
    description: str | None = Field(default=None, max_length=255)


class ItemUpdate(SQLModel):
    """What may change of an item."""

    title: str | None = Field(default=None, min_length=1, max_length=255)
    description: str | None = Field(default=None, max_length=255)


class Item(ItemCreate, table=True):
    """One item of one user."""

    id: uuid.UUID = Field(default_factory=uuid.uuid4, primary_key=True)
    owner_id: uuid.UUID = Field(foreign_key="user.id", ondelete="CASCADE", index=True)


class ItemPublic(ItemCreate):
    """What is shown of an item."""

    id: uuid.UUID
    owner_id: uuid.UUID


class ItemsPublic(SQLModel):
    """One page of items, and how many there are in all."""

    data: list[ItemPublic]
    count: int
