"""The marker that proves a database disposable, and the check that stands before everything that destroys.

It is the database's comment. CREATE DATABASE … TEMPLATE does not copy a comment, a dump of another database does not
hold it, and as it names the database and its oid, a renamed, copied or restored database does not keep it either.
"""

from __future__ import annotations

import os
import re
import socket
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import text

from onetrip.errors import UnsafeUse

if TYPE_CHECKING:
    from sqlalchemy import Connection
    from sqlalchemy.orm import Session

_TEXT = "onetrip.testing may drop this database: name={name} oid={oid} run={run} ready={ready} {origin}"
_PATTERN = re.compile(re.escape(_TEXT.partition(":")[0]) + r": name=(\S+) oid=(\d+) run=(\w+) ready=(yes|no) .*")

_MARKED = text("""
    SELECT datname, oid::bigint, shobj_description(oid, 'pg_database') FROM pg_database
    WHERE datname = coalesce(CAST(:name AS text), current_database())
""")
_UNUSED = text("""
    SELECT datname, oid::bigint, shobj_description(oid, 'pg_database') FROM pg_database
    WHERE shobj_description(oid, 'pg_database') LIKE 'onetrip.testing %' AND pg_get_userbyid(datdba) = current_user
    AND NOT EXISTS (SELECT FROM pg_stat_activity AS user_of WHERE user_of.datid = pg_database.oid)
""")


class Marker(NamedTuple):
    """Say what the marker of a database says: its name, which test run made it, and whether its schema is complete."""

    name: str
    run: str
    ready: bool


def mark(connection: Connection, name: str, run: str, *, ready: bool) -> None:
    """Mark a database that the caller has just created."""
    oid = connection.execute(_MARKED, {"name": name}).one()[1]
    host = re.sub(r"[^\w.-]", "_", socket.gethostname())
    origin = f"host={host} pid={os.getpid()} made={datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    comment = _TEXT.format(name=name, oid=oid, run=run, ready="yes" if ready else "no", origin=origin)
    # Every part is ours and holds neither quote nor backslash; COMMENT takes no bound values.
    connection.exec_driver_sql(f"COMMENT ON DATABASE \"{name}\" IS '{comment}'")


def marker_of(connection: Connection, name: str) -> Marker | None:
    """Return the valid marker of a database of this server."""
    row = connection.execute(_MARKED, {"name": name}).one_or_none()
    return _read(row) if row else None


def unused(connection: Connection) -> list[Marker]:
    """Return the valid markers of this role's databases to which nobody is connected."""
    return [marker for row in connection.execute(_UNUSED) if (marker := _read(row))]


def require_disposable(connection: Connection | Session) -> None:
    """Raise ``UnsafeUse`` unless the database behind this very connection was made by the test kit to be thrown away.

    Call it before your own helper truncates or drops; in async code, ``await session.run_sync(require_disposable)``.
    """
    row = connection.execute(_MARKED, {"name": None}).one()
    if _read(row) is None:
        raise _refusal(row[0])


def require_marked(connection: Connection, name: str) -> None:
    """Raise ``UnsafeUse`` unless the named database of this connection's server is disposable."""
    if marker_of(connection, name) is None:
        raise _refusal(name)


def _refusal(name: str) -> UnsafeUse:
    return UnsafeUse(
        f"the database {name!r} does not carry the test kit's marker: nothing proves that it may be destroyed",
        hint="let the fixtures of onetrip.testing make the database: db, async_db or onetrip_url",
    )


def _read(row: Any) -> Marker | None:
    name, oid, comment = row
    found = _PATTERN.fullmatch(comment or "")
    if found is None or (found[1], int(found[2])) != (name, oid):
        return None
    return Marker(name, found[3], found[4] == "yes")
