"""Alembic's environment: our models, the application's settings, and the direct endpoint past any pooler."""

from logging.config import fileConfig
from typing import Any

from alembic import context
from alembic.util import CommandError
from app.models import SQLModel
from sqlalchemy.exc import DBAPIError

from onetrip import Database, Settings
from onetrip.errors import OnetripError

BETTER_AUTH = {"user", "session", "account", "verification"}

config = context.config
if config.config_file_name and not config.attributes.get("quiet"):
    fileConfig(config.config_file_name, disable_existing_loggers=False)


def ours(_item: Any, name: str | None, kind: str, *_: Any) -> bool:
    """Leave out what is Better Auth's: autogenerate must neither change nor drop it."""
    return not (kind == "table" and name in BETTER_AUTH)


def migrate(settings: Settings) -> None:
    """Run the migrations in one transaction, with all the time they need."""
    # The URL never passes through the .ini file: its parser trips over a % and prints the password with the error.
    url = settings.migration_url.render()
    # One blocking driver, whatever the application uses: migrations must not depend on that.
    direct = Settings(database_url=url, tier=settings.tier, driver="psycopg", statement_timeout=0)
    with Database(settings=direct) as db, db.engine.connect() as connection:
        context.configure(
            connection=connection,
            target_metadata=SQLModel.metadata,
            include_object=ours,
            compare_server_default=True,
        )
        with context.begin_transaction():
            context.run_migrations()


def write_sql(_: Settings) -> None:
    """Write the migrations as SQL instead of running them (``alembic upgrade head --sql``)."""
    context.configure(dialect_name="postgresql", target_metadata=SQLModel.metadata, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()


try:
    settings = config.attributes.get("settings") or Settings()
    config.attributes["tier"] = settings.tier
    (write_sql if context.is_offline_mode() else migrate)(settings)
except OnetripError as error:
    raise CommandError(error.line) from error
except DBAPIError as error:  # what the server said, without the page of SQL
    raise CommandError(str(error.orig)) from error
