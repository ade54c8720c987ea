"""What type checkers must see of the public API; checked, never run."""

from collections.abc import Sequence
from typing import assert_type

from sqlmodel import Field, Session, SQLModel, select
from sqlmodel.ext.asyncio.session import AsyncSession

from onetrip import AsyncDatabase, Database, Settings, deadline
from onetrip._core.figures import PoolStats
from onetrip._engine.answers import Done, Ping
from onetrip.fastapi import ReadSession, WriteSession


class Hero(SQLModel, table=True):
    id: int | None = Field(default=None, primary_key=True)
    name: str


def blocking() -> None:
    db = Database("postgresql://localhost/app")
    db = Database(settings=Settings(database_url="postgresql://localhost/app", driver="psycopg2", pool_max=3))
    with db.transaction(isolation="serializable", role="app", local={"app.user": "1"}) as session:
        assert_type(session, Session)
        assert_type(session.exec(select(Hero)).all(), Sequence[Hero])
    with db.read(snapshot=True) as session:
        assert_type(session, Session)
    with deadline(2.0):
        assert_type(db.fetch_one(select(Hero)), Hero | None)
    assert_type(db.fetch_all(select(Hero.name)), list[str])
    assert_type(db.run(lambda session: 7, isolation="serializable"), int)
    assert_type(db.ping(), Ping)
    assert_type(db.stats(), PoolStats)
    with Database() as closing:
        closing.close()


async def awaiting() -> None:
    db = AsyncDatabase(settings=Settings(driver="asyncpg", tier="test"))
    async with db.transaction(statement_timeout=2.0) as session:
        assert_type(session, AsyncSession)

    async def work(session: AsyncSession) -> str:
        return "done"

    assert_type(await db.run(work), str)
    assert_type(await db.background(work), str)
    assert_type(await db.fetch_all(select(Hero)), list[Hero])
    assert_type(await db.fetch_value(select(Hero.name)), str | None)
    assert_type(await db.execute(select(Hero)), Done)
    async with AsyncDatabase() as closing:
        await closing.close()


async def route(read: ReadSession, write: WriteSession) -> None:
    assert_type(read, AsyncSession)
    assert_type(write, AsyncSession)
