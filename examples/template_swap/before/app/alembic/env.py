"""Alembic's environment."""

from logging.config import fileConfig

from alembic import context
from app.config import settings
from app.models import SQLModel
from sqlalchemy import engine_from_config, pool

config = context.config
assert config.config_file_name is not None
fileConfig(config.config_file_name)

target_metadata = SQLModel.metadata


def get_url() -> str:
    """Return the application's URL."""
    return str(settings.database_uri)


def run_migrations_offline() -> None:
    """Write SQL."""
    context.configure(url=get_url(), target_metadata=target_metadata, literal_binds=True, compare_type=True)
    with context.begin_transaction():
        context.run_migrations()


def run_migrations_online() -> None:
    """Run the migrations."""
    configuration = config.get_section(config.config_ini_section) or {}
    configuration["sqlalchemy.url"] = get_url()
    connectable = engine_from_config(configuration, prefix="sqlalchemy.", poolclass=pool.NullPool)
    with connectable.connect() as connection:
        context.configure(connection=connection, target_metadata=target_metadata, compare_type=True)
        with context.begin_transaction():
            context.run_migrations()


if context.is_offline_mode():
    run_migrations_offline()
else:
    run_migrations_online()
