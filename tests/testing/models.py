"""Tables that show what a savepoint must not lose: constraints of every kind, row-level security, a relation."""

from sqlalchemy import ForeignKeyConstraint, UniqueConstraint, text
from sqlalchemy.orm import registry
from sqlmodel import Field, Relationship, SQLModel, select

from onetrip import Database, Settings


class Base(SQLModel, registry=registry()):
    """Keep these tables out of the metadata that other tests compare with a database."""


class Owner(Base, table=True):
    __tablename__ = "kit_owner"

    id: int = Field(primary_key=True)
    items: list["Item"] = Relationship(back_populates="owner")


class Item(Base, table=True):
    __tablename__ = "kit_item"
    __table_args__ = (
        UniqueConstraint("name", deferrable=True, initially="IMMEDIATE", name="item_name"),
        ForeignKeyConstraint(["owner_id"], ["kit_owner.id"], deferrable=True, initially="DEFERRED", name="item_owner"),
    )

    id: int | None = Field(default=None, primary_key=True)
    name: str
    owner_id: int | None = None
    owner: Owner | None = Relationship(back_populates="items")


def make_schema(url: str) -> None:
    """Create the two tables, and let the role that the tests switch to read them."""
    settings = Settings(database_url=url, migration_database_url=url, tier="test")
    with Database(settings=settings) as db, db.engine.begin() as connection:
        Base.metadata.create_all(connection)
        connection.execute(text("GRANT SELECT, INSERT ON kit_owner, kit_item TO kit_reader"))
        connection.execute(text("GRANT USAGE ON kit_item_id_seq TO kit_reader"))


NAMES = select(Item.name).order_by(Item.name)
SETTINGS = text(
    "SELECT current_user::text, session_user::text, nullif(current_setting('app.user', true), ''), "
    "current_setting('statement_timeout'), current_setting('search_path'), current_setting('transaction_read_only')"
)
