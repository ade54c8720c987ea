"""Databases to measure in: migrated and filled by the example's own migrations and seed, with what that took."""

import re
from dataclasses import dataclass
from pathlib import Path

import psycopg
from alembic import command
from alembic.config import Config
from rich.progress import Progress
from seed import seed

from bench.serve import BACKEND
from onetrip import Settings
from onetrip.local import LocalServer

SIZES = """
    SELECT relname, pg_relation_size(oid) FROM pg_class
    WHERE oid = 'tasks'::regclass OR oid IN (SELECT indexrelid FROM pg_index WHERE indrelid = 'tasks'::regclass)
    ORDER BY relkind DESC, relname
"""


@dataclass(frozen=True)
class Load:
    """What loading took, in seconds and bytes."""

    users: int
    rows: int
    seconds: float
    steps: dict[str, float]
    sizes: dict[str, int]

    @property
    def rows_per_second(self) -> float:
        """Return the rate of the whole: rows, indexes, constraints, statistics."""
        return self.rows / self.seconds


def load(server: LocalServer, database: str, users: int, tasks: int, tasks_of_first: int = 0) -> Load:
    """Make a database, migrate it, and seed it."""
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{database}"')
    url = server.url(database)
    config = Config(
        str(BACKEND / "alembic.ini"),
        attributes={"settings": Settings(database_url=url, tier="development"), "quiet": True},
    )
    command.upgrade(config, "head")
    log = server.folder / "server.log"
    from_here = log.stat().st_size
    with Progress(transient=True) as bar:
        task = bar.add_task(f"loading {database}", total=None)
        done = seed(
            url,
            users,
            tasks,
            tasks_of_first=tasks_of_first,
            progress=lambda rows, all_rows: bar.update(task, completed=rows, total=all_rows),
        )
    with psycopg.connect(url) as connection:
        sizes = dict(connection.execute(SIZES).fetchall())
    return Load(done.users, done.tasks, done.seconds, _steps(log, from_here), sizes)


def _steps(log: Path, offset: int) -> dict[str, float]:
    """Return the long statements of the load and their seconds, as the server logged them."""
    with log.open(errors="replace") as file:
        file.seek(offset)
        lines = re.findall(r"duration: ([\d.]+) ms  [^:]+: (COPY \S+|CREATE INDEX \S+|VACUUM.*|ALTER.*)", file.read())
    return {statement.strip(): float(milliseconds) / 1000 for milliseconds, statement in lines}
