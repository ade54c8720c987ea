"""Databases that a test run makes for itself, all from one template, and removes again."""

from __future__ import annotations

import os
import secrets
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from onetrip._core.url import parse_url
from onetrip.database import Database
from onetrip.errors import UnsafeUse
from onetrip.settings import Settings
from onetrip.testing._marker import mark, marker_of, require_marked, unused
from onetrip.testing._server import require_consent, run_settings, server_name

if TYPE_CHECKING:
    from sqlalchemy import Connection

_LOCK_SPACE = 0x6F6E6574
_APPLICATION = "onetrip-testing-"
_OTHERS = text("SELECT count(*) FROM pg_stat_activity WHERE application_name = :name AND pid <> pg_backend_pid()")
_ALIVE = text("SELECT DISTINCT application_name FROM pg_stat_activity WHERE starts_with(application_name, :prefix)")
_RIGHTS = text("SELECT rolcreatedb OR rolsuper, current_user FROM pg_roles WHERE rolname = current_user")


class Url(str):
    """Be a URL that works as text and keeps its password out of what pytest prints about a failed test."""

    __slots__ = ()

    def __repr__(self) -> str:
        return repr(str(parse_url(self)))


class Databases:
    """Make and drop the databases of one process of one test run.

    Its connection stays open for the whole run, under a name that says which run it is: as long as the server shows a
    connection of a run, nobody removes the run's databases; when it shows none, the run is dead, however it died.
    """

    def __init__(self, consent: str) -> None:
        settings = run_settings()
        require_consent(settings, consent)
        settings.resolve_url()
        self._url = settings.migration_url
        self._run = _run_id()
        self._worker = os.environ.get("PYTEST_XDIST_WORKER", secrets.token_hex(2))
        self._template = f"onetrip_{self._run}_template"
        self._made = 0
        url = self._url.with_params(application_name=_APPLICATION + self._run)
        self._database = Database(settings=settings_for(settings, url.render(), driver="psycopg", statement_timeout=0))
        try:
            with self._database._runtime.translating():  # noqa: SLF001  an error to connect is one of ours
                self._connection = self._connect()
                self._sweep()
        except BaseException:
            self._database.close()
            raise

    def _connect(self) -> Connection:
        connection = self._database.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        may_create, role = connection.execute(_RIGHTS).one()
        if not may_create:
            connection.close()
            raise UnsafeUse(
                f"the role {role!r} may not create databases on {server_name(self._url)}, and a test run needs its own",
                hint=f'ALTER ROLE "{role}" CREATEDB; or unset DATABASE_URL to test on the embedded server',
            )
        return connection

    def url(self, name: str) -> Url:
        """Return the direct URL of one of our databases, password included."""
        return Url(replace(self._url, database=name).render())

    def ensure_template(self, make_schema: Callable[[str], None]) -> None:
        """Make the run's template, unless another worker of this run already has."""
        with self._locked(self._run):
            found = marker_of(self._connection, self._template)
            if found and found.ready:
                return
            if found:
                self.drop(self._template)
            self._create(self._template)
            try:
                make_schema(self.url(self._template))
            except BaseException:
                self.drop(self._template)
                raise
            mark(self._connection, self._template, self._run, ready=True)

    def clone(self) -> str:
        """Make a database of this worker from the template and return its name."""
        self._made += 1
        name = f"onetrip_{self._run}_{self._worker}_{self._made}"
        self._create(name, self._template)
        return name

    def drop(self, name: str) -> None:
        """Drop a database with whoever is connected to it; raise ``UnsafeUse`` unless it carries our marker."""
        require_marked(self._connection, name)
        self._connection.exec_driver_sql(f'DROP DATABASE "{name}" WITH (FORCE)')

    def close(self) -> None:
        """Remove the template if no other worker needs it, and go."""
        try:
            with self._locked(self._run):
                others = self._connection.execute(_OTHERS, {"name": _APPLICATION + self._run}).scalar_one()
                if not others and marker_of(self._connection, self._template):
                    self.drop(self._template)
                # The next worker to leave must not count this one, whose backend ends a moment later.
                self._connection.exec_driver_sql("SET application_name = 'onetrip-testing'")
        finally:
            self._connection.close()
            self._database.close()

    def _create(self, name: str, template: str | None = None) -> None:
        clause = f' TEMPLATE "{template}"' if template else ""
        self._connection.exec_driver_sql(f'CREATE DATABASE "{name}"{clause}')
        mark(self._connection, name, self._run, ready=template is not None)

    def _sweep(self) -> None:
        """Drop what dead runs left behind: marked, and no connection of their run on the server."""
        with self._locked("sweep"):
            # Markers first: a run that begins in between is then missing here, not among the living.
            found = unused(self._connection)
            alive = set(self._connection.execute(_ALIVE, {"prefix": _APPLICATION}).scalars())
            for marker in found:
                if _APPLICATION + marker.run not in alive:
                    self.drop(marker.name)

    @contextmanager
    def _locked(self, what: str) -> Iterator[None]:
        key = {"space": _LOCK_SPACE, "key": zlib.crc32(what.encode()) - 2**31}
        self._connection.execute(text("SELECT pg_advisory_lock(:space, :key)"), key)
        try:
            yield
        finally:
            self._connection.execute(text("SELECT pg_advisory_unlock(:space, :key)"), key)


def _run_id() -> str:
    shared = os.environ.get("PYTEST_XDIST_TESTRUNUID", "")
    return shared[:12] if shared.isalnum() else secrets.token_hex(6)


def settings_for(settings: Settings, url: str, **changes: Any) -> Settings:
    """Return the same settings for another database, reached directly."""
    kept = set(Settings.model_fields) - {"database_url", "migration_database_url", "pooler", "password"}
    given = {name: getattr(settings, name) for name in kept} | changes
    return Settings(database_url=url, migration_database_url=url, pooler="none", **given)
