"""A URL turned into one driver's connect arguments: every parameter honoured, or refused by its name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import ceil
from typing import Any

from onetrip._core.endpoint import DEFAULT_PORT, describe
from onetrip._core.startup import check_options
from onetrip._core.tls import Tls, choose_tls
from onetrip._core.url import DatabaseUrl
from onetrip.errors import ConfigurationError

DRIVERS = ("psycopg", "psycopg2", "asyncpg")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# libpq 18, "Parameter Key Words", without what the parts before the "?" say and without what would read a password
# from elsewhere behind our back (service, servicefile).
_LIBPQ = _words(
    "hostaddr passfile require_auth channel_binding connect_timeout client_encoding options application_name "
    "fallback_application_name keepalives keepalives_idle keepalives_interval keepalives_count tcp_user_timeout "
    "replication gssencmode sslmode sslnegotiation sslcompression sslcert sslkey sslkeylogfile sslpassword sslcertmode "
    "sslrootcert sslcrl sslcrldir sslsni requirepeer ssl_min_protocol_version ssl_max_protocol_version "
    "min_protocol_version max_protocol_version krbsrvname gsslib gssdelegation scram_client_key scram_server_key "
    "target_session_attrs load_balance_hosts oauth_issuer oauth_client_id oauth_client_secret oauth_scope"
)
# Written by providers and frameworks for their own tools; they say nothing to a driver.
_FOREIGN = frozenset({"pgbouncer", "supa", "ssl", "statement_cache_size", "prepared_statement_cache_size"})
_INSTEAD = {
    "connection_limit": "set DATABASE_POOL_MAX",
    "pool_timeout": "set DATABASE_POOL_TIMEOUT",
    "schema": "write options=-c%20search_path%3Dyour_schema",
    "currentSchema": "write options=-c%20search_path%3Dyour_schema",
    "search_path": "write options=-c%20search_path%3Dyour_schema",
    "statement_timeout": "set DATABASE_STATEMENT_TIMEOUT",
    "socket_timeout": "set DATABASE_STATEMENT_TIMEOUT",
}
# What asyncpg does anyway, or what only tunes a socket: leaving it out weakens nothing.
_ASYNCPG_NEEDS_NOT = {
    "channel_binding": ("prefer", "disable", "require"),  # "require" has become verify-full by then
    "gssencmode": ("prefer", "disable"),
    "client_encoding": ("utf8", "utf-8", "auto"),
    "sslcompression": ("0",),
    "sslsni": ("1",),
    "sslcertmode": ("allow", "disable"),
    "gssdelegation": ("0",),
    "load_balance_hosts": ("disable",),
}
_ASYNCPG_TUNING = _words(
    "keepalives keepalives_idle keepalives_interval keepalives_count tcp_user_timeout "
    "min_protocol_version max_protocol_version"
)
_ASYNCPG_SAME = ("passfile", "target_session_attrs", "krbsrvname", "gsslib")
_ASYNCPG_TLS = _words(
    "sslmode sslrootcert sslcert sslkey sslcrl sslpassword sslnegotiation "
    "ssl_min_protocol_version ssl_max_protocol_version"
)

KNOWS_DIRECT_TLS = 170_000
"""The first libpq with sslnegotiation=direct (https://www.postgresql.org/docs/17/release-17.html)."""


@dataclass(slots=True, eq=False)
class ConnectProfile:
    """Hold what a driver's ``connect()`` takes.

    ``arguments`` hold the password: they are never printed. For asyncpg they lack ``ssl``, whose value is an object
    that reads files: ``onetrip._engine.tls`` makes it from ``tls`` and ``tls_files``. ``dialect_arguments`` are for
    SQLAlchemy's dialect, which takes them out before it calls the driver.
    """

    driver: str
    arguments: dict[str, Any] = field(repr=False)
    dialect_arguments: dict[str, Any]
    tls: Tls
    tls_files: Mapping[str, str] = field(repr=False)
    """asyncpg only: ``sslcert``, ``sslkey``, ``sslcrl``, ``sslpassword`` and protocol versions, as in libpq."""
    notes: tuple[str, ...]
    """What was made stronger or left out, and why; ``Settings.explain()`` shows them."""


def connect_profile(
    url: DatabaseUrl,
    driver: str,
    *,
    ca_bundle: Callable[[], str],
    connect_timeout: float | None = None,
    application_name: str | None = None,
    pooled: bool | None = None,
    libpq: int = 0,
) -> ConnectProfile:
    """Translate a URL for one driver; ``connect_timeout`` is in seconds.

    ``connect_timeout`` beats the URL's (it is the setting that was derived from it), the URL's ``application_name``
    beats ours. ``pooled`` (a transaction pooler is in between) turns prepared statements off, unless the URL gives a
    ``statement_cache_size``: its author knows that the pooler follows them. None for ``pooled`` looks at the URL.
    ``libpq`` is the version of the one below the driver, as in 170000; with it TLS begins directly where it may.
    Raises ConfigurationError that names a parameter no driver knows, or that driver or pooler cannot honour.
    """
    _refuse_unknown(url.params)
    endpoint = describe(url)
    tls, notes = choose_tls(url.params, endpoint, ca_bundle=ca_bundle, binds_channel=driver != "asyncpg")
    knows_direct = driver == "asyncpg" or libpq >= KNOWS_DIRECT_TLS
    if endpoint.direct_tls and knows_direct and tls.is_demanded and "sslnegotiation" not in url.params:
        url = url.with_params(sslnegotiation="direct")
    timeout = connect_timeout if connect_timeout is not None else _seconds(url.params.get("connect_timeout"))
    name = url.params.get("application_name") or url.params.get("fallback_application_name") or application_name
    pooled = endpoint.pooled if pooled is None else pooled
    if pooled and (options := url.params.get("options")):
        check_options(options, endpoint.provider)
    prepares = not pooled or _size("statement_cache_size", url.params.get("statement_cache_size", "0")) > 0
    if driver == "asyncpg":
        return _asyncpg(url, tls, notes, timeout=timeout, name=name, prepares=prepares)
    if driver not in DRIVERS:
        raise ConfigurationError(f"{driver!r} is not a driver", hint=f"one of {', '.join(DRIVERS)}")
    return _libpq(url, driver, tls, notes, timeout=timeout, name=name, prepares=prepares)


def _refuse_unknown(params: Mapping[str, str]) -> None:
    for name in params:
        if name not in _LIBPQ and name not in _FOREIGN:
            raise ConfigurationError(
                f"the database URL has a parameter {name!r} that PostgreSQL's drivers do not know",
                hint=_INSTEAD.get(name, "remove it from the URL"),
            )


def _seconds(text: str | None) -> float | None:
    if not text:
        return None
    try:
        return float(text)
    except ValueError:
        raise ConfigurationError(
            "connect_timeout in the database URL is not a number", hint="write seconds, as in connect_timeout=15"
        ) from None


def _libpq(
    url: DatabaseUrl,
    driver: str,
    tls: Tls,
    notes: tuple[str, ...],
    *,
    timeout: float | None,
    name: str | None,
    prepares: bool,
) -> ConnectProfile:
    kept = {key: value for key, value in url.params.items() if key in _LIBPQ}
    places = {
        "host": ",".join(host.name for host in url.hosts),
        "port": ",".join(str(host.port or DEFAULT_PORT) for host in url.hosts),
        "user": url.user,
        "password": url.password,
        "dbname": url.database,
    }
    if driver == "psycopg" and kept.get("client_encoding", "").lower().replace("-", "_") == "sql_ascii":
        raise ConfigurationError(
            "the database URL sets client_encoding=SQL_ASCII, in which psycopg returns bytes instead of text",
            hint="remove it: UTF-8 is asked for, and a server that stores SQL_ASCII sends what it has",
        )
    arguments: dict[str, Any] = {key: value for key, value in places.items() if value}
    # gssencmode: libpq asks for GSS encryption first when a Kerberos cache is about; that is a round trip for nothing.
    # client_encoding: the role or the database may ask for another one, in which some values have no spelling, and in
    # SQL_ASCII psycopg returns bytes.
    arguments |= {"gssencmode": "disable", "client_encoding": "utf8"} | kept | {"sslmode": tls.mode}
    if tls.rootcert:
        arguments["sslrootcert"] = tls.rootcert
    if timeout is not None:
        arguments["connect_timeout"] = ceil(timeout)  # libpq counts whole seconds
    if name:
        arguments["application_name"] = name
    if not prepares and driver == "psycopg":
        arguments["prepare_threshold"] = None
    return ConnectProfile(driver, arguments, {}, tls, {}, notes)


def _asyncpg(
    url: DatabaseUrl, tls: Tls, notes: tuple[str, ...], *, timeout: float | None, name: str | None, prepares: bool
) -> ConnectProfile:
    notes += _asyncpg_leaves_out(url.params)
    if "," in (url.user or ""):
        # RFC 5802 wants it as "=2C", and asyncpg 0.32 sends it as it is: "malformed SCRAM message".
        raise ConfigurationError(
            f"the user {url.user!r} in the database URL has a comma, and asyncpg cannot log it in",
            hint="set DATABASE_DRIVER=psycopg, or rename the role",
        )
    hosts: list[Any] = [host.name for host in url.hosts]
    ports: list[Any] = [host.port or DEFAULT_PORT for host in url.hosts]
    places = {
        "host": hosts[0] if len(hosts) == 1 else hosts,
        "port": ports[0] if len(ports) == 1 else ports,
        "user": url.user,
        "password": url.password,
        "database": url.database,
    }
    arguments: dict[str, Any] = {key: value for key, value in places.items() if value}
    arguments |= {key: url.params[key] for key in _ASYNCPG_SAME if key in url.params}
    if url.params.get("sslnegotiation") == "direct":
        arguments["direct_tls"] = True
    if timeout is not None:
        arguments["timeout"] = timeout
    # "options" goes as the start-up parameter it is, not taken apart into settings of their own:
    # Neon's proxy drops every other start-up parameter without a word.
    start_up = {
        "application_name": name,
        "options": url.params.get("options"),
        "replication": url.params.get("replication"),
    }
    arguments["server_settings"] = {key: value for key, value in start_up.items() if value}
    dialect: dict[str, Any] = {}
    for size, target in (("statement_cache_size", arguments), ("prepared_statement_cache_size", dialect)):
        if not prepares or size in url.params:
            target[size] = _size(size, url.params[size]) if prepares else 0
    files = {
        key: url.params[key] for key in sorted(_ASYNCPG_TLS & set(url.params)) if key not in {"sslmode", "sslrootcert"}
    }
    return ConnectProfile("asyncpg", arguments, dialect, tls, files, notes)


def _asyncpg_leaves_out(params: Mapping[str, str]) -> tuple[str, ...]:
    """Return notes on what asyncpg goes without; raise for what it must not go without."""
    honoured = _ASYNCPG_TLS | _FOREIGN | {"connect_timeout", "application_name", "fallback_application_name", "options"}
    honoured |= {"replication", *_ASYNCPG_SAME}
    notes = []
    for name, value in params.items():
        if name in honoured or value.lower() in _ASYNCPG_NEEDS_NOT.get(name, ()):
            continue
        if name not in _ASYNCPG_TUNING:
            raise ConfigurationError(
                f"the database URL asks for {name}, which asyncpg cannot honour",
                hint=f"remove {name} from the URL, or set DATABASE_DRIVER=psycopg",
            )
        notes.append(f"{name} is left to the operating system: asyncpg cannot set it")
    return tuple(notes)


def _size(name: str, text: str) -> int:
    if not text.isdigit():
        raise ConfigurationError(f"{name} in the database URL is not a whole number", hint=f"write {name}=0")
    return int(text)
