"""What Alembic's ``env.py`` does: settings in, one connection past any pooler, errors as one line."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from logging.config import fileConfig
from typing import TYPE_CHECKING, Any

from alembic import context
from alembic.util import CommandError
from sqlalchemy.exc import DBAPIError

from onetrip import Database, Settings
from onetrip._core import classify
from onetrip._core.endpoint import Kind, describe
from onetrip._core.url import DatabaseUrl, parse_url
from onetrip.errors import ConfigurationError, ConnectFailed, OnetripError, Phase, Retry, StartupRefused
from onetrip.migrations._autogenerate import importing, leaving_out

if TYPE_CHECKING:
    from alembic.config import Config
    from sqlalchemy import Connection, MetaData

    from onetrip.settings import Password

_log = logging.getLogger("onetrip.migrations")

PLACEHOLDER = "driver://user:pass@localhost/dbname"
"""What ``alembic init`` writes as ``sqlalchemy.url``."""
OFFLINE = {"dialect_name": "postgresql", "literal_binds": True, "dialect_opts": {"paramstyle": "named"}}
BETWEEN_TRIES = 0.5
"""Seconds."""


def run(
    metadata: MetaData,
    *,
    owned_by_others: Collection[str] = (),
    settings: Settings | None = None,
    **context_options: Any,
) -> None:
    """Run what the ``alembic`` command asks for; call it from ``env.py``, as its last line.

    The database is the application's: ``settings``, by default ``Settings()``, or ``config.attributes["settings"]`` if
    the calling program put it there; on the endpoint past any transaction pooler, without a statement timeout, over
    psycopg whatever the application uses. A server that is starting or waking is waited for,
    ``DATABASE_CONNECT_TIMEOUT`` seconds. A program that has a connection already gives it as
    ``config.attributes["connection"]``. Migrations find the settings in force in
    ``context.config.attributes["settings"]``.

    ``owned_by_others`` names tables (``schema.table`` outside the default schema) that autogenerate neither changes
    nor drops. ``context_options`` go to Alembic's ``context.configure()`` and win over ours. Raises Alembic's
    ``CommandError``, whose one line never holds a password.
    """
    config = context.config
    _log_as_configured(config)
    options = {
        "target_metadata": metadata,
        "compare_type": True,
        "compare_server_default": True,
        **context_options,
        "include_object": leaving_out(frozenset(owned_by_others), context_options.get("include_object")),
        "render_item": importing(context_options.get("render_item")),
    }
    with _one_line():
        if (connection := config.attributes.get("connection")) is not None:
            _migrate(connection=connection, **options)
            return
        settings = config.attributes["settings"] = config.attributes.get("settings") or settings or Settings()
        if context.is_offline_mode():
            _migrate(**OFFLINE | options)
            return
        _refuse_another_url(config, settings.migration_url)
        with _connected(settings) as connection:
            _migrate(connection=connection, **options)


def _migrate(**options: Any) -> None:
    context.configure(**options)
    with context.begin_transaction():
        context.run_migrations()


def _log_as_configured(config: Config) -> None:
    """Set logging up from the .ini file for the command line; a program that calls Alembic has its own."""
    if config.cmd_opts is not None and config.file_config.has_section("loggers"):
        fileConfig(config.file_config, disable_existing_loggers=False)


def _refuse_another_url(config: Config, ours: DatabaseUrl) -> None:
    """Refuse a URL for Alembic that names another database than the one that would be migrated."""
    # Read raw: a % in it is no interpolation, and ConfigParser would print the whole of it in its error.
    written = config.file_config.get(config.config_ini_section, "sqlalchemy.url", raw=True, fallback="")
    if written in {"", PLACEHOLDER} or _place(written.replace("%%", "%")) == (ours.hosts, ours.database):
        return
    raise ConfigurationError(
        "sqlalchemy.url names another database for Alembic than DATABASE_URL, which is the one that counts",
        hint='remove it; a program gives Config(attributes={"settings": Settings(database_url=…)})',
    )


def _place(text: str) -> tuple[object, object] | None:
    try:
        url = parse_url(text)
    except ConfigurationError:
        return None
    return url.hosts, url.database


@contextmanager
def _connected(settings: Settings) -> Iterator[Connection]:
    with Database(settings=_past_the_pooler(settings)) as db, _patiently(db) as connection:
        # Said again: the URL's own options win at start-up, and a session pooler takes none.
        connection.exec_driver_sql("SET statement_timeout = 0")
        connection.commit()
        yield connection


def _past_the_pooler(settings: Settings) -> Settings:
    """Return the settings for migrations: one blocking driver, so that they never depend on the application's."""
    url = settings.migration_url
    explicit = "auto" if settings.pooler == "transaction" else settings.pooler
    # "none" where nobody knows: time-outs at start-up are what a transaction pooler refuses, so it cannot hide.
    session = describe(url, explicit).kind is Kind.SESSION
    # A role of its own has a password of its own, in MIGRATION_DATABASE_URL.
    same_role = settings.url is None or url.user == settings.url.user
    source = settings.password if same_role else None
    return Settings(
        database_url=url,
        migration_database_url=url,
        tier=settings.tier,
        driver="psycopg",
        pooler="session" if session else "none",
        connect_timeout=settings.connect_timeout,
        statement_timeout=0,
        idle_in_transaction_timeout=settings.idle_in_transaction_timeout,
        password=None if source is None else partial(_password, source),
        password_file=settings.password_file if same_role else None,
    )


def _password(source: Password) -> str:
    """Ask an application's source of passwords, also one made for an event loop."""
    given = source()
    if isinstance(given, str):
        return given

    async def waited() -> str:
        return await given

    with ThreadPoolExecutor(1) as thread:  # this one may have a loop that runs already
        return thread.submit(asyncio.run, waited()).result()


def _patiently(db: Database) -> Connection:
    """Connect; a server that is not up yet, as at the start of a deployment, gets the time to connect once."""
    give_up = time.monotonic() + db.settings.connect_timeout
    while True:
        try:
            return db.engine.connect()
        except StartupRefused as error:
            error.hint = "a pooler is in between: set MIGRATION_DATABASE_URL to the same database without it"
            raise
        except ConnectFailed as error:
            if error.retry is not Retry.LATER or time.monotonic() + BETWEEN_TRIES > give_up:
                raise
            _log.warning("waiting for the database: %s", error.line)
        time.sleep(BETWEEN_TRIES)


@contextmanager
def _one_line() -> Iterator[None]:
    """Turn an error of ours or of the server into the one line that Alembic's command prints."""
    try:
        yield
    except OnetripError as error:
        raise CommandError(error.line) from error
    except DBAPIError as error:
        found = classify.facts(error)
        said = classify.explain(found, classify.classify(found, Phase.STATEMENT), Phase.STATEMENT, "the database")
        said.hint = getattr(getattr(error.orig, "diag", None), "message_hint", None) or said.hint
        raise CommandError(said.line) from error
