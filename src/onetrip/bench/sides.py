"""Who is compared: SQLAlchemy's session as it comes and onetrip, doing the same reads over the same driver."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Self

from sqlalchemy import URL, Engine, Select, create_engine, literal_column, select, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlmodel import Session

from onetrip._core.profile import connect_profile
from onetrip._engine import bridge, connect
from onetrip._engine.tls import ca_bundle, ssl_argument
from onetrip.aio import AsyncDatabase
from onetrip.database import Database

if TYPE_CHECKING:
    from onetrip.settings import Settings

READ, FETCH, TRANSACTION, SETTLED = (
    "a session that reads, one SELECT",
    "fetch_one, one SELECT",
    "a transaction, one SELECT and COMMIT",
    "a transaction with a tenant and a time-out",
)
UNITS = (READ, FETCH, TRANSACTION, SETTLED)

_SELECT: Select[Any] = select(literal_column("1"))
_TENANT = {"onetrip.bench": "1"}
_SETTLE = (text("SELECT set_config('onetrip.bench', '1', true)"), text("SET LOCAL statement_timeout = 10000"))
_LIMIT = 10.0  # s


class Stock:
    """SQLModel's session over SQLAlchemy's engine, connected exactly as onetrip connects."""

    waits_for_rollback = True

    def __init__(self, settings: Settings, runner: asyncio.Runner | None, *, ping: bool) -> None:
        self._runner = runner
        self._engine = _engine(settings, asynchronous=runner is not None, ping=ping)
        self._autocommit = self._engine.execution_options(isolation_level="AUTOCOMMIT")

    def do(self, unit: str) -> None:
        """Do a unit of work."""
        self._run(self._work, unit)

    def once(self) -> None:
        """Send one statement and nothing around it: a single trip."""
        self._run(self._alone)

    def rest(self, seconds: float) -> None:
        """Let time pass."""
        self._run(_pause, self._runner, seconds)

    def close(self) -> None:
        """Close the pool."""
        self._run(self._engine.dispose)

    def _work(self, unit: str) -> None:
        with Session(self._engine) as session:
            connection = session.connection()
            for statement in _SETTLE if unit == SETTLED else ():
                connection.execute(statement)
            connection.execute(_SELECT).one()
            if unit in {TRANSACTION, SETTLED}:
                session.commit()

    def _alone(self) -> None:
        with self._autocommit.connect() as connection:
            connection.execute(_SELECT).one()

    def _run(self, work: Callable[..., None], *arguments: Any) -> None:
        if self._runner:
            self._runner.run(bridge.in_greenlet(work, *arguments))
        else:
            work(*arguments)


def _pause(runner: asyncio.Runner | None, seconds: float) -> None:
    if runner:
        bridge.wait_for(asyncio.sleep(seconds))
    else:
        time.sleep(seconds)


def _engine(settings: Settings, *, asynchronous: bool, ping: bool) -> Engine:
    target, driver = settings.resolve_url(), settings.driver
    profile = connect_profile(
        target,
        driver,
        ca_bundle=ca_bundle,
        connect_timeout=settings.connect_timeout,
        application_name="onetrip bench",
        pooled=settings.endpoint.pooled,
    )
    arguments = {**profile.arguments, **profile.dialect_arguments}
    if driver == "asyncpg":
        arguments["ssl"] = ssl_argument(profile.tls, profile.tls_files)
    options: dict[str, Any] = {"connect_args": arguments, "pool_pre_ping": ping}
    url = URL.create(f"postgresql+{driver}")
    engine = create_async_engine(url, **options).sync_engine if asynchronous else create_engine(url, **options)
    connect.listen(engine, settings, "the database")  # the password of the moment, and errors of ours
    return engine


class Ours:
    """onetrip's Database."""

    def __init__(self, settings: Settings) -> None:
        self._db = Database(settings=settings)
        self.waits_for_rollback = not settings.one_trip

    def do(self, unit: str) -> None:
        """Do a unit of work."""
        if unit == FETCH:
            self._db.fetch_one(_SELECT)
        elif unit == READ:
            with self._db.read() as session:
                session.connection().execute(_SELECT).one()
        else:
            with self._db.transaction(**_options(unit)) as session:
                session.connection().execute(_SELECT).one()

    def close(self) -> None:
        """Close the pool."""
        self._db.close()


class AsyncOurs:
    """onetrip's AsyncDatabase."""

    def __init__(self, settings: Settings, runner: asyncio.Runner) -> None:
        self._db = AsyncDatabase(settings=settings)
        self._runner = runner
        self.waits_for_rollback = not settings.one_trip

    def do(self, unit: str) -> None:
        """Do a unit of work."""
        self._run(self._work(unit))

    def close(self) -> None:
        """Close the pool."""
        self._run(self._db.close())

    async def _work(self, unit: str) -> None:
        if unit == FETCH:
            await self._db.fetch_one(_SELECT)
        elif unit == READ:
            async with self._db.read() as session:
                (await (await session.connection()).execute(_SELECT)).one()
        else:
            async with self._db.transaction(**_options(unit)) as session:
                (await (await session.connection()).execute(_SELECT)).one()

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        self._runner.run(work)


def _options(unit: str) -> dict[str, Any]:
    return {"local": _TENANT, "statement_timeout": _LIMIT} if unit == SETTLED else {}


class Sides:
    """Open all three over the driver of the settings; ``runner`` is for asyncpg."""

    def __init__(self, settings: Settings, loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None) -> None:
        self._runner = asyncio.Runner(loop_factory=loop_factory) if settings.driver == "asyncpg" else None
        ours = AsyncOurs(settings, self._runner) if self._runner else Ours(settings)
        self.stock = Stock(settings, self._runner, ping=False)
        ping = Stock(settings, self._runner, ping=True)
        # Ours comes first: what is wrong with the way there is said in our words.
        self.all: dict[str, Ours | AsyncOurs | Stock] = {"onetrip": ours, "stock": self.stock, "stock + pre_ping": ping}

    def warm(self) -> None:
        """Do what is not measured: connections, and the sixth use of the statement, at which psycopg prepares it."""
        for side in self.all.values():
            for unit in UNITS * 3:
                side.do(unit)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for side in self.all.values():
            side.close()
        if self._runner:
            self._runner.close()
