"""How an empty database gets its schema when a project does not say it: Alembic, or SQLModel's tables."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from onetrip._core.names import FIELD_NAMES, URL_FILE
from onetrip.errors import UnsafeUse

# sqlalchemy.url is set as well, for an env.py that asks alembic.ini; the driver that it names there is kept.
_UPGRADE = """
import sys
from alembic import command
from alembic.config import Config
from sqlalchemy import make_url
config, url = Config(sys.argv[1]), make_url(sys.stdin.read())
if written := config.get_main_option("sqlalchemy.url"):
    try:
        url = url.set(drivername=make_url(written).drivername)
    except Exception:  # a placeholder such as "driver://user:pass@host", which names no driver there is
        pass
config.set_main_option("sqlalchemy.url", url.render_as_string(hide_password=False).replace("%", "%%"))
command.upgrade(config, "head")
"""


def default_schema(url: str, root: Path) -> None:
    """Run ``alembic upgrade head`` where there is an alembic.ini, else create the tables of ``SQLModel.metadata``."""
    if (ini := root / "alembic.ini").exists():
        upgrade(url, ini)
    else:
        create_tables(url, root)


def upgrade(url: str, ini: Path) -> None:
    """Migrate to head in a process of its own, whose environment knows no other database.

    In this process the application's settings may already hold another URL, and env.py would follow that one.
    """
    done = subprocess.run(  # noqa: S603 - our own interpreter and program
        [sys.executable, "-c", _UPGRADE, str(ini)],
        input=url,
        cwd=ini.parent,
        env=environment_for(url),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise UnsafeUse(
            f"alembic upgrade head failed with {ini}:\n{done.stderr.strip()[-2000:]}",
            hint="env.py must take its URL from DATABASE_URL or sqlalchemy.url; or override the fixture onetrip_schema",
        )


def create_tables(url: str, root: Path) -> None:
    """Create the tables of every SQLModel class that is imported by now."""
    from sqlmodel import SQLModel

    from onetrip.database import Database
    from onetrip.settings import Settings
    from onetrip.testing._marker import require_disposable

    if not SQLModel.metadata.tables:
        raise UnsafeUse(
            f"no schema for the tests: there is no {root / 'alembic.ini'}, and no SQLModel table is imported",
            hint="import the models in conftest.py, or override the fixture onetrip_schema",
        )
    settings = Settings(database_url=url, migration_database_url=url, tier="test", driver="psycopg", pooler="none")
    with Database(settings=settings) as database, database.engine.begin() as connection:
        require_disposable(connection)
        SQLModel.metadata.create_all(connection)


def environment_for(url: str) -> dict[str, str]:
    """Return this process's environment with ``url`` as its only database."""
    others = {URL_FILE, *FIELD_NAMES["migration_database_url"], "DATABASE_POOLER"}
    kept = {name: value for name, value in os.environ.items() if name not in others}
    return kept | {"DATABASE_URL": url, "MIGRATION_DATABASE_URL": url, "APP_ENV": "test"}
