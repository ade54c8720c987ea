"""What a project's models hold that makes a migration file fail or autogenerate blind."""

from typing import Any

from sqlalchemy import String, TypeDecorator, text
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel


class Shouted(TypeDecorator[str]):
    """A type of the project's own."""

    impl = String
    cache_ok = True


class Base(SQLModel, registry=registry()):
    """Keep these tables apart from those of other tests."""


class Owner(Base, table=True):
    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(max_length=100)
    motto: str = Field(sa_type=Shouted)
    rank: int = Field(default=1, sa_column_kwargs={"server_default": text("1")})


metadata: Any = Base.metadata
