"""A PostgreSQL URL: parsed once, shown without its password, rendered for whoever needs text.

The grammar is libpq's (https://www.postgresql.org/docs/current/libpq-connect.html, "Connection URIs"), which is wider
than RFC 3986: several hosts, Unix sockets, every part optional. Percent-escapes are decoded, ``+`` stays a plus.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from types import MappingProxyType
from typing import NamedTuple, Self
from urllib.parse import quote, unquote_to_bytes

from onetrip.errors import ConfigurationError

_DRIVERS = ("psycopg", "psycopg2", "asyncpg")
_SCHEME = r"([A-Za-z][A-Za-z0-9+._\-]*)://"
_BAD_ESCAPE = r"%(?![0-9A-Fa-f]{2})"
_SURROGATE = "[\ud800-\udfff]"  # what os.environ makes of a byte that is not UTF-8
_IN_QUERY = ("host", "port", "user", "password", "dbname")
_SECRET_PARAMS = frozenset({"sslpassword", "scram_client_key", "scram_server_key", "oauth_client_secret"})
_ENCODE = "percent-encode special characters in user and password: @ is %40, / is %2F, : is %3A, % is %25, # is %23"
_MASK = "***"


class Host(NamedTuple):
    """Name one server: a DNS name, an address, or the folder of a Unix socket; ``port`` None is the default, 5432."""

    name: str
    port: int | None = None

    @property
    def is_socket(self) -> bool:
        """Say whether this is a Unix socket, in a folder or in Linux's abstract namespace."""
        return self.name.startswith(("/", "@"))

    @property
    def is_address(self) -> bool:
        """Say whether this is an IP address, which needs no DNS."""
        try:
            ip_address(self.name)
        except ValueError:
            return False
        return True


@dataclass(frozen=True, slots=True, repr=False)
class DatabaseUrl:
    """Hold the parts of a PostgreSQL URL, decoded; printing it shows no password, ``render()`` does."""

    user: str | None = None
    password: str | None = None
    hosts: tuple[Host, ...] = ()
    database: str | None = None
    params: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), hash=False)
    driver: str | None = None
    """The driver that the scheme asked for, as in ``postgresql+asyncpg://``; not part of ``render()``'s default."""

    def render(self, scheme: str = "postgresql") -> str:
        """Write the URL with its password in clear: never for a log."""
        return _render(self, scheme)

    def redacted(self) -> str:
        """Write the URL with ``***`` in place of every secret."""
        shown = {name: _MASK if name in _SECRET_PARAMS else value for name, value in self.params.items()}
        password = None if self.password is None else _MASK
        return _render(replace(self, password=password, params=shown), "postgresql")

    def with_params(self, **changes: str | None) -> Self:
        """Return the URL with parameters set, or removed where the value is None."""
        merged = {**self.params, **changes}
        return replace(self, params=MappingProxyType({k: v for k, v in merged.items() if v is not None}))

    def secrets(self) -> tuple[str, ...]:
        """Return what must never be printed: the password and secret parameters."""
        found = (self.password, *(self.params.get(name) for name in sorted(_SECRET_PARAMS)))
        return tuple(value for value in found if value)

    def __reduce__(self) -> tuple[object, ...]:
        # Copied and pickled as text: a mapping proxy knows neither.
        return parse_url, (self.render(f"postgresql+{self.driver}" if self.driver else "postgresql"),)

    def __str__(self) -> str:
        return self.redacted()

    def __repr__(self) -> str:
        return f"DatabaseUrl({self.redacted()!r})"


def parse_url(text: str, *, name: str = "DATABASE_URL") -> DatabaseUrl:
    """Parse any provider's URL verbatim; ``name`` is what an error calls it.

    Raises ConfigurationError that says what is wrong and never repeats the text, which may hold a password.
    """
    text = text.strip()
    if not text.isascii() and re.search(_SURROGATE, text):
        raise _wrong(name, "holds bytes that are not UTF-8", _ENCODE)
    driver, rest = _split_scheme(text, name)
    if re.search(r"\s", rest):
        raise _wrong(name, "contains white space", "remove the line break, or write a space as %20")
    if "%" in rest and re.search(_BAD_ESCAPE, rest):
        raise _wrong(name, "contains a % that starts no escape", "write a literal % as %25")
    authority, path, query = _split_rest(rest)
    if "@" not in authority and "@" in path + query:
        raise _wrong(name, "has an @ after its first / or ?", _ENCODE)
    userinfo, _, places = authority.rpartition("@")
    user, colon, password = userinfo.partition(":")
    params = _parse_query(query, name)
    overridden = {key: params.pop(key) for key in _IN_QUERY if key in params}
    hosts = _parse_hosts(places, name)
    if "host" in overridden or "port" in overridden:
        hosts = _hosts_in_query(overridden, hosts, name)
    return DatabaseUrl(
        user=overridden.get("user") or _decode(user, name) or None,
        password=overridden.get("password", _decode(password, name) if colon else None),
        hosts=() if hosts == (Host(""),) else hosts,
        database=overridden.get("dbname") or _decode(path[1:], name) or None,
        params=MappingProxyType(params),
        driver=driver,
    )


def _wrong(name: str, what: str, hint: str) -> ConfigurationError:
    return ConfigurationError(f"{name} {what}", hint=hint)


def _split_scheme(text: str, name: str) -> tuple[str | None, str]:
    example = "write postgresql://user:password@host/database"
    if not text:
        raise _wrong(name, "is empty", f"{example}, or unset it")
    if text[0] in "'\"" or text.startswith("psql "):
        raise _wrong(name, "is wrapped in quotes or in a psql command", "keep only what begins with postgresql://")
    match = re.match(_SCHEME, text)
    if not match:
        raise _wrong(name, "is not a URL: it does not begin with postgresql://", example)
    scheme = match[1].lower()
    base, _, driver = scheme.partition("+")
    if base not in {"postgres", "postgresql"}:
        raise _wrong(name, f"begins with {scheme}://, which is not PostgreSQL", example)
    if driver and driver.removesuffix("_async") not in _DRIVERS:
        raise _wrong(name, f"asks for the driver {driver!r}", f"one of {', '.join(_DRIVERS)}, or plain postgresql://")
    return driver.removesuffix("_async") or None, text[match.end() :]


def _split_rest(rest: str) -> tuple[str, str, str]:
    before_query, _, query = rest.partition("?")
    authority, slash, path = before_query.partition("/")
    return authority, slash + path, query


def _decode(text: str, name: str) -> str:
    raw = unquote_to_bytes(text)
    decoded = raw.decode("utf-8", "replace")
    # Compared, not caught: a UnicodeDecodeError holds the bytes, and those may be the password.
    if decoded.encode("utf-8") != raw:
        raise _wrong(name, "has percent-escapes that are not UTF-8", _ENCODE)
    if "\0" in decoded:
        raise _wrong(name, "contains %00", "PostgreSQL has no NUL character in names or passwords")
    return decoded


def _parse_query(query: str, name: str) -> dict[str, str]:
    params: dict[str, str] = {}
    for piece in filter(None, query.split("&")):
        key, equals, value = piece.partition("=")
        if not equals or not re.fullmatch(r"[A-Za-z]\w{0,62}", key):
            raise _wrong(name, "has something after its ? that is not name=value", _ENCODE)
        if key in params:
            raise _wrong(name, f"has the parameter {key} twice", "keep one of them")
        params[key] = _decode(value, name)
    return params


def _parse_hosts(places: str, name: str) -> tuple[Host, ...]:
    return tuple(_parse_host(place, name) for place in places.split(",")) if places else ()


def _parse_host(place: str, name: str) -> Host:
    if place.startswith("["):
        address, closed, after = place[1:].partition("]")
        if not closed or (after and not after.startswith(":")):
            raise _wrong(name, "has an IPv6 address without its closing bracket", "write [2001:db8::1]:5432")
        return Host(_decode(address, name), _parse_port(after[1:], name))
    host, _, port = place.partition(":")
    return Host(_decode(host, name), _parse_port(port, name))


def _parse_port(text: str, name: str) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:6]) <= 65535):
        raise _wrong(name, "has a port that is not a number from 1 to 65535", f"if no port was meant, {_ENCODE}")
    return int(text)


def _hosts_in_query(given: Mapping[str, str], hosts: tuple[Host, ...], name: str) -> tuple[Host, ...]:
    """Apply ``?host=`` and ``?port=``, which libpq lets win over the part before the path."""
    names = given["host"].split(",") if given.get("host") else [host.name for host in hosts] or [""]
    if "port" in given:
        ports = [_parse_port(port, name) for port in given["port"].split(",")]
    else:
        ports = [host.port for host in hosts] if len(hosts) == len(names) else [None]
    if len(ports) == 1:
        ports *= len(names)
    if len(ports) != len(names):
        raise _wrong(name, f"has {len(names)} hosts but {len(ports)} ports", "give one port, or one for each host")
    return tuple(Host(host, port) for host, port in zip(names, ports, strict=True))


def _render(url: DatabaseUrl, scheme: str) -> str:
    userinfo = quote(url.user or "", safe="")
    if url.password is not None:
        userinfo += ":" + (url.password if url.password == _MASK else quote(url.password, safe=""))
    if url.user is not None or url.password is not None:
        userinfo += "@"
    params = dict(url.params)
    places = ""
    if len(url.hosts) == 1 and url.hosts[0].is_socket:
        # A socket goes into the query: every driver and SQLAlchemy read it there, few decode %2F in the host.
        params |= {"host": url.hosts[0].name} | ({"port": str(url.hosts[0].port)} if url.hosts[0].port else {})
    else:
        places = ",".join(_render_host(host) for host in url.hosts)
    path = "/" + quote(url.database, safe="") if url.database else "/" if params or not places else ""
    query = "&".join(f"{key}={quote(value, safe='/:')}" for key, value in params.items())
    return f"{scheme}://{userinfo}{places}{path}" + (f"?{query}" if query else "")


def _render_host(host: Host) -> str:
    name = f"[{quote(host.name, safe=':')}]" if ":" in host.name else quote(host.name, safe="")
    return name if host.port is None else f"{name}:{host.port}"
