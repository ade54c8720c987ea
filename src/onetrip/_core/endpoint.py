"""What answers behind a URL: whose server, and directly or through a pooler."""

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

from onetrip._core.url import DatabaseUrl, Host

PGBOUNCER_PORT = 6432
"""PgBouncer's default port; Azure and PlanetScale use it too."""


POOLERS = ("auto", "none", "transaction", "session")


class Kind(StrEnum):
    """How a connection reaches a server process."""

    DIRECT = "direct"
    TRANSACTION = "transaction"
    """A pooler that gives a server process for one transaction: no session state survives a COMMIT."""
    SESSION = "session"
    """A pooler that gives a server process for as long as the client stays."""
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Provider:
    """Describe one hoster: its host suffixes, whether a public CA signs it, and how its pooler is told apart."""

    name: str
    suffixes: tuple[str, ...]
    kind: Callable[[Host], Kind] = lambda host: Kind.TRANSACTION if host.port == PGBOUNCER_PORT else Kind.DIRECT
    direct: Callable[[Host], Host] | None = None
    pooled: Callable[[Host], Host] | None = None
    public_ca: bool = False
    """Only then can ``verify-full`` hold with the CA bundle every machine has."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Say what a URL leads to; ``provider`` None is one that we do not know."""

    provider: str | None
    kind: Kind
    is_local: bool
    public_ca: bool = False

    @property
    def pooled(self) -> bool:
        """Say whether session state is lost at every COMMIT."""
        return self.kind is Kind.TRANSACTION


def _neon_kind(host: Host) -> Kind:
    return Kind.TRANSACTION if host.name.partition(".")[0].endswith("-pooler") else Kind.DIRECT


def _neon_direct(host: Host) -> Host:
    # The first label alone: a user, password or region may hold "-pooler" or a dot as well.
    label, dot, zone = host.name.partition(".")
    return Host(label.removesuffix("-pooler") + dot + zone, host.port)


def _neon_pooled(host: Host) -> Host:
    label, dot, zone = host.name.partition(".")
    return Host(label.removesuffix("-pooler") + "-pooler" + dot + zone, host.port)


def _supabase_kind(host: Host) -> Kind:
    if host.port == 6543:
        return Kind.TRANSACTION
    return Kind.SESSION if host.name.endswith(".pooler.supabase.com") else Kind.DIRECT


def _port(number: int) -> Callable[[Host], Host]:
    return lambda host: Host(host.name, number)


def _rds_kind(host: Host) -> Kind:
    return Kind.TRANSACTION if ".proxy-" in host.name else Kind.DIRECT


PROVIDERS: tuple[Provider, ...] = (
    Provider("neon", (".neon.tech",), _neon_kind, _neon_direct, _neon_pooled, public_ca=True),
    Provider("vercel", (".postgres.vercel-storage.com",), _neon_kind, _neon_direct, _neon_pooled, public_ca=True),
    Provider("supabase", (".supabase.com", ".supabase.co"), _supabase_kind, _port(5432), _port(6543)),
    Provider("planetscale", (".psdb.cloud",), direct=_port(5432), pooled=_port(PGBOUNCER_PORT), public_ca=True),
    Provider(
        "azure", (".postgres.database.azure.com",), direct=_port(5432), pooled=_port(PGBOUNCER_PORT), public_ca=True
    ),
    Provider("cockroach", (".cockroachlabs.cloud",), public_ca=True),
    Provider("rds", (".rds.amazonaws.com", ".rds.amazonaws.com.cn"), _rds_kind),
    Provider(
        "digitalocean",
        (".db.ondigitalocean.com",),
        kind=lambda host: Kind.TRANSACTION if host.port == 25061 else Kind.DIRECT,
    ),
)


def describe(url: DatabaseUrl, pooler: str = "auto") -> Endpoint:
    """Tell provider and pooler from host, port and ``pgbouncer=true``; ``pooler`` other than auto has the last word.

    ``pooler`` is ``auto``, ``none``, ``transaction`` or ``session``. Several hosts count as the first of them.
    """
    provider = _provider(url)
    return Endpoint(
        provider=provider.name if provider else None,
        kind=_kind(url, provider, pooler),
        is_local=is_local(url),
        public_ca=bool(provider and provider.public_ca),
    )


def is_local(url: DatabaseUrl) -> bool:
    """Say whether every host is this machine: a socket, loopback, or none given."""
    return all(_is_local(host) for host in url.hosts)


def direct_twin(url: DatabaseUrl) -> DatabaseUrl | None:
    """Return the same database without the pooler, or None where the provider's naming does not tell it."""
    return _twin(url, want_pooled=False)


def pooled_twin(url: DatabaseUrl) -> DatabaseUrl | None:
    """Return the same database through the provider's transaction pooler, or None where its naming does not tell it."""
    return _twin(url, want_pooled=True)


def _twin(url: DatabaseUrl, *, want_pooled: bool) -> DatabaseUrl | None:
    provider = _provider(url)
    move = (provider.pooled if want_pooled else provider.direct) if provider else None
    if move is None:
        return None
    return replace(url, hosts=tuple(move(_lower(host)) for host in url.hosts)).with_params(pgbouncer=None)


def _kind(url: DatabaseUrl, provider: Provider | None, pooler: str) -> Kind:
    if pooler != "auto":
        return Kind.DIRECT if pooler == "none" else Kind(pooler)
    if url.params.get("pgbouncer", "").lower() in {"true", "1"}:
        return Kind.TRANSACTION
    host = _lower(url.hosts[0]) if url.hosts else Host("")
    if provider:
        return provider.kind(host)
    if host.port == PGBOUNCER_PORT:
        return Kind.TRANSACTION
    return Kind.DIRECT if _is_local(host) else Kind.UNKNOWN


def _provider(url: DatabaseUrl) -> Provider | None:
    names = [host.name.lower() for host in url.hosts]
    return next((p for p in PROVIDERS if names and all(name.endswith(p.suffixes) for name in names)), None)


def _lower(host: Host) -> Host:
    return host if host.is_socket else Host(host.name.lower(), host.port)


def _is_local(host: Host) -> bool:
    if not host.name or host.is_socket or host.name.lower().rstrip(".") == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.name.partition("%")[0]).is_loopback
    except ValueError:
        return False
