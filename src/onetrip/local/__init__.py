"""PostgreSQL for development and tests, from a wheel: nothing to install, nothing to clean up.

``onetrip local start | stop | status | url | psql`` is the same from a shell.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from onetrip.local._cluster import DATABASE
from onetrip.local._platform import refuse_on_platform
from onetrip.local._say import say
from onetrip.local._server import LocalServer, Status

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["LocalServer", "Status", "ensure_url"]

_servers: dict[Path, LocalServer] = {}
_mutex = threading.Lock()


def ensure_url(database: str = DATABASE) -> str:
    """Return the URL of this project's server, started if need be; it ends after the last process that asked for it.

    A ``database`` that is not there yet is made: tests have one of their own beside that of development.

    Raise ConfigurationError where a deployment platform's markers are present or the wheel is missing, and
    LocalServerFailed if the server does not come up.
    """
    refuse_on_platform()
    with _mutex:
        server = LocalServer()
        known = server.folder in _servers
        server = _servers.setdefault(server.folder, server)
        started = server.start()
        if started or not known:
            did = "started" if started else "sharing"
            say(f"no DATABASE_URL: {did} {server.status()}")
        if database != DATABASE:
            _make_database(server, database)
        return server.url(database)


def _make_database(server: LocalServer, name: str) -> None:
    import psycopg
    from psycopg import errors, sql

    with psycopg.connect(server.url(), autocommit=True) as connection, suppress(errors.DuplicateDatabase):
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
