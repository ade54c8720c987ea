"""Settings: one frozen object, each value from an argument, the environment, ``.env`` or its tier's default."""

import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, TypedDict, Unpack

from pydantic import Field, ModelWrapValidatorHandler, PrivateAttr, SecretStr, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from onetrip._core import pair, tiers
from onetrip._core.assemble import MIGRATION, PASSWORD_FILE, URL, contradictions, fill_in, read_urls
from onetrip._core.complaints import complain, in_one_line
from onetrip._core.endpoint import Endpoint, describe
from onetrip._core.found import Found
from onetrip._core.profile import connect_profile
from onetrip._core.secrets import remember
from onetrip._core.url import DatabaseUrl, parse_url
from onetrip._sources import FOUND, Arguments, Variables, embedded_url, read_secret
from onetrip.errors import ConfigurationError
from onetrip.redaction import install_redaction

if TYPE_CHECKING:
    from onetrip._explanation import Explanation

Driver = Literal["psycopg", "psycopg2", "asyncpg"]
Pooler = Literal["auto", "none", "transaction", "session"]
Password = Callable[[], str] | Callable[[], Awaitable[str]]


class Given(TypedDict, total=False):
    """Name what Settings takes, for type checkers."""

    database_url: str | SecretStr | DatabaseUrl | None
    migration_database_url: str | SecretStr | DatabaseUrl | None
    tier: str
    driver: str
    pooler: str
    pool_min: int
    pool_max: int
    pool_timeout: float
    connect_timeout: float
    pool_lifetime: float
    pool_idle: float
    statement_timeout: float
    idle_in_transaction_timeout: float
    request_deadline: float
    password: Password | None
    password_file: str | Path | None
    one_trip: bool


_Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
_SecondsOrOff = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Settings(BaseSettings):
    """Read, check and hold every setting; raise ConfigurationError with one line for each thing that is wrong."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        env_file=".env",
        env_file_encoding="utf-8",
        case_sensitive=True,
        hide_input_in_errors=True,
    )

    database_url: SecretStr | None = Field(
        None,
        description="Where the database is: the provider's URL, verbatim, whatever the driver. "
        "Trap: special characters in user and password must be percent-encoded.",
    )
    migration_database_url: SecretStr | None = Field(
        None,
        description="The same database without a transaction pooler, for migrations. "
        "Trap: through a pooler, a migration loses its locks and settings half-way.",
    )
    tier: tiers.Tier = Field(
        "development",
        description="What this process is for: development (dev), test (ci), preview (staging) or production (prod). "
        "Trap: unset in production means a pool of 10, and an embedded server where DATABASE_URL is missing too.",
    )
    driver: Driver = Field(
        "psycopg",
        description="Who speaks to the server: psycopg, asyncpg (AsyncDatabase only) or psycopg2 (Database only). "
        "Trap: a driver named in the URL's scheme counts only where DATABASE_DRIVER is not set.",
    )
    pooler: Pooler = Field(
        "auto",
        description="What stands before the server: none, transaction or session; auto tells it from host and port. "
        "Trap: a PgBouncer under a name of its own is not recognised; say transaction, or prepared statements break.",
    )
    pool_min: int = Field(
        5,
        ge=0,
        description="Connections that idle time does not close. "
        "Trap: a floor that demand fills, not a number opened at the start.",
        json_schema_extra={"unit": "connections"},
    )
    pool_max: int = Field(
        10,
        ge=1,
        le=100,
        description="Connections in this process, at most 100. "
        "Trap: each worker has a pool of its own; workers × pool_max must fit the server's max_connections.",
        json_schema_extra={"unit": "connections"},
    )
    pool_timeout: _SecondsOrOff = Field(
        30.0,
        description="How long a request may wait for a free connection; a deadline shortens it. "
        "Trap: a long queue turns a slow database into a dead application.",
        json_schema_extra={"unit": "s"},
    )
    connect_timeout: _Seconds = Field(
        30.0,
        description="How long opening a connection may take, waking a suspended database included. "
        "Trap: under 10 s, a cold start looks like an outage; libpq counts whole seconds, rounded up.",
        json_schema_extra={"unit": "s"},
    )
    pool_lifetime: _Seconds = Field(
        3600.0,
        description="After how long a connection is replaced, with jitter that only shortens it. "
        "Trap: poolers close at an hour of their own; longer than theirs meets closed connections.",
        json_schema_extra={"unit": "s"},
    )
    pool_idle: _Seconds = Field(
        240.0,
        description="After how long unused a connection above pool_min is closed. "
        "Trap: Neon suspends at 300 s; a longer value keeps connections that are already dead.",
        json_schema_extra={"unit": "s"},
    )
    statement_timeout: _SecondsOrOff = Field(
        30.0,
        description="How long one statement may run on the server; 0 is without limit. "
        "Trap: seconds here, milliseconds in PostgreSQL.",
        json_schema_extra={"unit": "s"},
    )
    idle_in_transaction_timeout: _SecondsOrOff = Field(
        60.0,
        description="How long a transaction may sit without a statement before the server ends it; 0 is without limit. "
        "Trap: a call to another service inside a transaction counts.",
        json_schema_extra={"unit": "s"},
    )
    request_deadline: _SecondsOrOff = Field(
        10.0,
        description="How long one HTTP request may spend on the database: queue, waking, retries and statements "
        "together; 0 is without limit. Trap: shorter than statement_timeout, it is the one that strikes.",
        json_schema_extra={"unit": "s"},
    )
    password: Password | None = Field(
        None,
        exclude=True,
        description="A function, sync or async, that returns the password for each new connection, for credentials "
        "that expire; asked once more when the server refuses one. "
        "Trap: it runs while a request waits; cache what it fetches.",
    )
    password_file: Path | None = Field(
        None,
        description="A file with the password alone, as Kubernetes and Docker mount secrets; read for each new "
        "connection, and once more when the server refuses it. "
        "Trap: a password in database_url beside it is an error, not a spare.",
    )
    one_trip: bool = Field(
        default=True,
        description="Whether the preamble of a transaction rides with its first statement; off puts SQLAlchemy's own "
        "dialects underneath. Trap: off, a read is three trips instead of one, and a tenant or a role one more each.",
    )

    _found: Found = PrivateAttr(default_factory=Found)
    _url: DatabaseUrl | None = PrivateAttr(None)
    _migration: DatabaseUrl | None = PrivateAttr(None)

    def __init__(self, **given: Unpack[Given]) -> None:
        install_redaction()
        super().__init__(**given)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003  the base class names it
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Put our own look-up in place of the stock one: it knows customary names and keeps where a value was found."""
        assert isinstance(env_settings, EnvSettingsSource)
        assert isinstance(dotenv_settings, DotEnvSettingsSource)
        found = Found()
        return (
            Arguments(settings_cls, init_settings(), found),
            Variables(settings_cls, env_settings.env_vars, "environment", found),
            Variables(settings_cls, dotenv_settings.env_vars, ".env", found),
        )

    @model_validator(mode="wrap")
    @classmethod
    def _assemble(cls, values: Any, build: ModelWrapValidatorHandler[Self]) -> Self:
        if not isinstance(values, dict):
            return build(values)
        values = {name: _text(value) for name, value in values.items()}
        found = values.pop(FOUND, None) or Found(where=dict.fromkeys(values, "argument"))
        remember(os.environ.get("PGPASSWORD"))
        urls = read_urls(values, found, os.environ)
        fill_in(values, found, urls, os.environ)
        found.problems.extend(contradictions(values, found, urls))
        _try_password_file(values, found)
        self = None
        try:
            self = build(values)
        except ValidationError as error:
            found.problems += complain(error.errors(), found.called, cls.model_fields)
        if self is None or found.problems:
            # Not raised inside "except": pydantic's error holds the values, and would hang on ours as its context.
            raise ConfigurationError("\n".join(dict.fromkeys(found.problems)))
        self._found, self._url, self._migration = found, urls.get(URL), urls.get(MIGRATION)
        self._check_profile()
        return self

    @property
    def url(self) -> DatabaseUrl | None:
        """The parsed ``database_url``; None where an embedded server will be started by ``resolve_url()``."""
        return self._url

    @property
    def url_file(self) -> str | None:
        """The file that held ``database_url``, if one did."""
        return self._found.url_file

    @property
    def endpoint(self) -> Endpoint:
        """What answers behind the URL; the embedded server is local and direct."""
        return describe(self._url or DatabaseUrl(), self.pooler)

    def resolve_url(self) -> DatabaseUrl:
        """Return the URL, starting the embedded server if none was given.

        Raises ConfigurationError where none may be started: in preview and production, on a deployment platform,
        or without the ``local`` extra.
        """
        if self._url is None:
            url = parse_url(embedded_url(self.tier), name="the embedded server's URL")
            for secret in url.secrets():
                remember(secret)
            self._url = url
        return self._url

    @property
    def migration_url(self) -> DatabaseUrl:
        """The URL for migrations, past any transaction pooler: given, derived, or the URL itself.

        Starts the embedded server as ``resolve_url()`` does. Raises ConfigurationError where a pooler is in between
        and what is behind it cannot be told from its name.
        """
        found = self._migration or pair.migration_url(self.resolve_url(), self.pooler)
        if found is None:
            raise ConfigurationError(
                "DATABASE_URL leads through a transaction pooler, and its direct address cannot be told from its name",
                hint="set MIGRATION_DATABASE_URL to the same database without the pooler",
            )
        return found

    def explain(self) -> "list[Explanation]":
        """Say of each setting its value, where it came from, and what was adjusted; opens and starts nothing."""
        from onetrip._explanation import explain

        return explain(self, self._found, self._migration, self._check_profile())

    def _check_profile(self) -> tuple[str, ...]:
        """Refuse at once what the driver will not take, and return what becomes stronger than written."""
        if self._url is None:
            return ()
        profile = connect_profile(self._url, self.driver, ca_bundle=_ca_bundle, pooled=self.endpoint.pooled)
        return profile.notes


def _ca_bundle() -> str:
    import certifi

    return certifi.where()


def _try_password_file(values: dict[str, Any], found: Found) -> None:
    path = values.get(PASSWORD_FILE)
    if isinstance(path, (str, Path)):
        try:
            remember(read_secret(path, found.called(PASSWORD_FILE), "password"))
        except ConfigurationError as error:
            found.problems.append(in_one_line(error))


def _text(value: Any) -> Any:
    """Unwrap what may hold a URL."""
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return value.render() if isinstance(value, DatabaseUrl) else value
