"""Settings in, engine out: the only place that makes one."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from sqlalchemy import URL, Engine, create_engine

from onetrip._core.endpoint import Endpoint, describe
from onetrip._core.preamble import milliseconds
from onetrip._core.profile import ConnectProfile, connect_profile
from onetrip._core.tiers import function_runtime
from onetrip._engine import connect
from onetrip._engine.idle import Sweeper
from onetrip._engine.liveness import Liveness
from onetrip._engine.pool import AsyncTripPool, Ledger, TripPool
from onetrip._engine.runtime import Runtime
from onetrip._engine.tls import ca_bundle, libpq_version, ssl_argument
from onetrip._engine.unsendable import name_unsendable_values
from onetrip.errors import ConfigurationError
from onetrip.settings import Settings

if TYPE_CHECKING:
    from onetrip._core.url import DatabaseUrl

APPLICATION_NAME = "onetrip"


def open_sync(url: str | None, settings: Settings | None) -> Runtime:
    """Make a runtime over a blocking engine; nothing is connected yet."""
    return _open(url, settings, drivers=("psycopg", "psycopg2"), other="AsyncDatabase")


def open_async(url: str | None, settings: Settings | None) -> Runtime:
    """Make a runtime over an asyncio engine; nothing is connected yet."""
    return _open(url, settings, drivers=("psycopg", "asyncpg"), other="Database")


def _open(url: str | None, settings: Settings | None, *, drivers: tuple[str, ...], other: str) -> Runtime:
    settings = _settings(url, settings)
    driver = settings.driver
    if driver not in drivers:
        raise ConfigurationError(
            f"driver={driver!r} does not work here, where it is {' or '.join(drivers)}",
            hint=f"use {other} for {driver}, or set DATABASE_DRIVER={drivers[0]}",
        )
    target = settings.resolve_url()
    endpoint = describe(target, settings.pooler)
    asynchronous = "asyncpg" in drivers
    ledger = Ledger()
    engine = _engine(settings, target, endpoint, asynchronous=asynchronous)
    assert isinstance(engine.pool, TripPool)
    engine.pool.ledger = ledger
    # A compute that suspends takes its connections along: there is no floor to keep.
    floor = 0 if endpoint.sleeps else settings.pool_min
    # A function's process may be frozen as soon as it has answered: nothing may be left to do then.
    frozen = function_runtime(os.environ) is not None
    if not frozen:
        engine.pool.sweeper = Sweeper(engine.pool, rest=settings.pool_idle, floor=floor, asynchronous=asynchronous)
    Liveness(engine, settings, ledger, floor=floor, pays_at_once=frozen, shared=endpoint.pooled)
    where = _where(target)
    connect.listen(engine, settings, where)
    name_unsendable_values(engine)
    return Runtime(settings, engine, ledger, where, timeouts_at_startup=endpoint.takes_options)


def _settings(url: str | None, settings: Settings | None) -> Settings:
    if url is not None and settings is not None:
        raise ConfigurationError("both a URL and settings were given", hint="put the URL into Settings(database_url=…)")
    if settings is not None:
        return settings
    return Settings() if url is None else Settings(database_url=url)


def _engine(settings: Settings, target: DatabaseUrl, endpoint: Endpoint, *, asynchronous: bool) -> Engine:
    if endpoint.takes_options:
        target = _with_timeouts(target, settings)
    profile = connect_profile(
        target,
        settings.driver,
        ca_bundle=ca_bundle,
        connect_timeout=settings.connect_timeout,
        application_name=APPLICATION_NAME,
        pooled=endpoint.pooled,
        libpq=libpq_version(settings.driver),
    )
    host = target.hosts[0] if target.hosts else None
    # The URL is for people and for SQLAlchemy's choice of a dialect; what the driver gets is in connect_args.
    shown = URL.create(
        f"postgresql+{_dialect(settings)}",
        username=target.user,
        host=host.name if host and not host.is_socket else None,
        port=host.port if host else None,
        database=target.database,
    )
    options: dict[str, Any] = {
        "connect_args": _arguments(profile),
        "poolclass": AsyncTripPool if asynchronous else TripPool,
        "pool_size": settings.pool_max,
        "max_overflow": 0,
        "pool_timeout": settings.pool_timeout,
        "pool_use_lifo": True,
        "hide_parameters": settings.tier != "development",
    }
    # Private, and all that create_async_engine() adds: its face loads when somebody asks for it.
    return create_engine(shown, **options, _is_async=asynchronous)


def _dialect(settings: Settings) -> str:
    if not settings.one_trip:
        return settings.driver
    return "onetrip" if settings.driver == "psycopg" else f"onetrip_{settings.driver}"


def _arguments(profile: ConnectProfile) -> dict[str, Any]:
    arguments = {**profile.arguments, **profile.dialect_arguments}
    if profile.driver == "asyncpg":
        arguments["ssl"] = ssl_argument(profile.tls, profile.tls_files)
    return arguments


def _with_timeouts(target: DatabaseUrl, settings: Settings) -> DatabaseUrl:
    """Set the time-outs once at start-up, as ``options``: it is the one start-up parameter that Neon's proxy keeps."""
    ours = {
        "statement_timeout": settings.statement_timeout,
        "idle_in_transaction_session_timeout": settings.idle_in_transaction_timeout,
    }
    given = target.params.get("options", "")
    added = [
        f"-c {name}={milliseconds(seconds) if seconds else 0}"  # 0 is without limit
        for name, seconds in ours.items()
        if f"{name}=" not in given
    ]
    # Ours come first: of two the last one holds, and "--statement-timeout=5s" is a way to write it as well.
    return target.with_params(options=" ".join(filter(None, [*added, given])))


def _where(target: DatabaseUrl) -> str:
    host = target.hosts[0] if target.hosts else None
    place = f"{host.name}:{host.port or 5432}" if host else "the local server"
    return f"{place}/{target.database or target.user or ''}".rstrip("/")
