"""What one worker of a test run holds: its database, and the transaction of the test that runs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, Self

from onetrip._core.url import parse_url
from onetrip._engine.relay import Relay
from onetrip.aio import AsyncDatabase
from onetrip.database import Database
from onetrip.errors import UnsafeUse
from onetrip.settings import Settings
from onetrip.testing._databases import Databases, Url, settings_for
from onetrip.testing._redirect import OneTransaction, RealCommits, redirected
from onetrip.testing._schema import environment_for
from onetrip.testing._server import run_settings

if TYPE_CHECKING:
    from types import TracebackType


class Stage:
    """Give Database objects that work where the test works."""

    def __init__(
        self, url: str, target: OneTransaction | RealCommits, settings: Settings, relay: Relay | None = None
    ) -> None:
        self.url = url
        self.target = target
        self.relay = relay
        self._settings = settings

    @property
    def one_trip(self) -> bool:
        """Say whether the databases of this test are over the dialects that do not wait for a ROLLBACK."""
        return self._settings.one_trip

    @contextmanager
    def database(self) -> Iterator[Database]:
        """Make a Database for the time of the block."""
        driver = "psycopg2" if self._settings.driver == "psycopg2" else "psycopg"
        database = Database(settings=settings_for(self._settings, self.url, driver=driver))
        with redirected(self.target, database):
            yield database

    @contextmanager
    def async_database(self) -> Iterator[AsyncDatabase]:
        """Make an AsyncDatabase for the time of the block."""
        driver = "asyncpg" if self._settings.driver == "asyncpg" else "psycopg"
        database = AsyncDatabase(settings=settings_for(self._settings, self.url, driver=driver))
        with redirected(self.target, database):
            yield database


class Worker:
    """Hold the databases of one process of a test run."""

    def __init__(self, consent: str, make_schema: Callable[[str], None]) -> None:
        self._databases = Databases(consent)
        self._settings = run_settings()
        self._make_schema = make_schema
        self._name: str | None = None
        self._transaction: OneTransaction | None = None

    def __enter__(self) -> Self:
        try:
            self._databases.ensure_template(self._make)
            self._renew()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._drop()
        self._databases.close()

    def _make(self, url: str) -> None:
        # psycopg is the one driver with which both Database(url) and AsyncDatabase(url) work.
        with _environment(url, DATABASE_DRIVER="psycopg"):
            self._make_schema(url)

    def _renew(self) -> None:
        self._drop()
        self._name = self._databases.clone()
        self._transaction = OneTransaction(self._url, self._settings)

    def _drop(self) -> None:
        if self._transaction:
            self._transaction.close()
        if self._name:
            self._databases.drop(self._name)
        self._transaction = self._name = None

    @property
    def _url(self) -> str:
        assert self._name
        return self._databases.url(self._name)

    @contextmanager
    def session(self, databases: Sequence[Any]) -> Iterator[None]:
        """Have the application's databases work on this worker's database, with real commits."""
        with _environment(self._url), redirected(RealCommits(self._url), *databases):
            yield

    @contextmanager
    def test(self, databases: Sequence[Any], *, committed: bool, counted: bool = False) -> Iterator[Stage]:
        """Have everything work in the one transaction of a test, or on a database of its own, its trips counted."""
        where: AbstractContextManager[Stage] = self._one_transaction()
        if committed or counted:
            where = self._own_database(counted=counted)
        with where as stage, _environment(stage.url), redirected(stage.target, *databases):
            yield stage

    @contextmanager
    def _own_database(self, *, counted: bool) -> Iterator[Stage]:
        name = self._databases.clone()
        try:
            url = self._databases.url(name)
            if counted:
                with Relay.before(parse_url(url)) as relay:
                    through = Url(relay.through(parse_url(url)).render())
                    yield Stage(through, RealCommits(through, keep_idle=True), self._settings, relay)
            else:
                yield Stage(url, RealCommits(url), self._settings)
        finally:
            self._databases.drop(name)

    @contextmanager
    def _one_transaction(self) -> Iterator[Stage]:
        assert self._transaction
        try:
            yield Stage(self._url, self._transaction, self._settings)
        finally:
            if not self._transaction.seat.undo():
                self._renew()
                raise UnsafeUse(
                    "something in this test ended the transaction around it (COMMIT or ROLLBACK sent as SQL), so "
                    "its rows could not be undone; the next test gets a new database",
                    hint="commit with the session, or mark the test: @pytest.mark.committed",
                )


@contextmanager
def _environment(url: str, **more: str) -> Iterator[None]:
    """Let what reads the environment meanwhile, such as an application factory, find the kit's database."""
    before, changed = dict(os.environ), environment_for(url) | more
    ours = {name for name in before.keys() | changed.keys() if before.get(name) != changed.get(name)}
    try:
        _set({name: changed.get(name) for name in ours})
        yield
    finally:
        _set({name: before.get(name) for name in ours})


def _set(variables: Mapping[str, str | None]) -> None:
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
