"""What answers behind a URL: whose server, directly or through a pooler, and what follows from that."""

import ipaddress
from dataclasses import replace
from typing import NamedTuple

from onetrip._core.providers import DEFAULT_PORT, PGBOUNCER_PORT, Kind, Move, Provider, provider_of
from onetrip._core.url import DatabaseUrl, Host

__all__ = [
    "DEFAULT_PORT",
    "POOLERS",
    "Endpoint",
    "Kind",
    "describe",
    "direct_twin",
    "is_local",
    "pooled_twin",
    "session_twin",
]

POOLERS = ("auto", "none", "transaction", "session")


class Endpoint(NamedTuple):
    """Say what a URL leads to; ``provider`` None is one that we do not know."""

    provider: str | None
    kind: Kind
    is_local: bool
    """This machine: loopback, a socket, or no host at all. A tunnel or an authenticating proxy looks the same."""
    public_ca: bool = False
    """Whether the server's certificate is signed by an authority that every CA bundle knows."""
    ipv6_only: bool = False
    """Whether the host has no IPv4 address, unless its owner pays for one."""
    sleeps: bool = False
    """Whether it may suspend when idle: connecting wakes it in seconds, and whatever asks it regularly costs money."""
    takes_options: bool = False
    """Whether ``options=-c name=value`` at start-up reaches the session: a pooler refuses or drops it."""
    direct_tls: bool = False
    """Whether TLS may begin with the first byte: connecting is one trip shorter."""

    @property
    def pooled(self) -> bool:
        """Say whether session state is lost at every COMMIT."""
        return self.kind is Kind.TRANSACTION


def describe(url: DatabaseUrl, pooler: str = "auto") -> Endpoint:
    """Tell provider and pooler from the URL alone; ``pooler`` other than auto has the last word.

    ``pooler`` is ``auto``, ``none``, ``transaction`` or ``session``. Several hosts count as the first of them.
    """
    url = _lower(url)
    provider = provider_of(url)
    kind = _kind(url, provider, pooler)
    return Endpoint(
        provider=provider.name if provider else None,
        kind=kind,
        is_local=is_local(url),
        public_ca=provider is not None and provider.public_ca,
        ipv6_only=provider is not None and provider.ipv6_only,
        sleeps=provider is not None and provider.sleeps,
        direct_tls=provider is not None and provider.direct_tls,
        takes_options=kind is Kind.DIRECT and (provider is None or provider.takes_options),
    )


def is_local(url: DatabaseUrl) -> bool:
    """Say whether every host is this machine: a socket, loopback, or none given; ``hostaddr`` is the one dialled."""
    dialled = [Host(address) for address in url.params.get("hostaddr", "").split(",") if address]
    return all(_is_local(host) for host in dialled or url.hosts)


def direct_twin(url: DatabaseUrl) -> DatabaseUrl | None:
    """Return the same database without the pooler, or None where the provider's naming does not tell it."""
    provider = provider_of(_lower(url))
    return _moved(url, provider.naming.direct) if provider else None


def pooled_twin(url: DatabaseUrl) -> DatabaseUrl | None:
    """Return the same database through the provider's transaction pooler, or None where its naming does not tell it.

    Some providers want the pooler switched on first.
    """
    provider = provider_of(_lower(url))
    return _moved(url, provider.naming.pooled) if provider else None


def session_twin(url: DatabaseUrl) -> DatabaseUrl | None:
    """Return the same database where a session holds: a session pooler if the provider has one, else the direct one."""
    provider = provider_of(_lower(url))
    return _moved(url, provider.naming.session or provider.naming.direct) if provider else None


def _moved(url: DatabaseUrl, move: Move) -> DatabaseUrl | None:
    twin = move(_lower(url))
    return twin.with_params(pgbouncer=None) if twin else None


def _kind(url: DatabaseUrl, provider: Provider | None, pooler: str) -> Kind:
    if pooler != "auto":
        return Kind.DIRECT if pooler == "none" else Kind(pooler)
    if url.params.get("pgbouncer", "").lower() in {"true", "1"}:
        return Kind.TRANSACTION
    if provider:
        return provider.naming.kind(url)
    if url.hosts and url.hosts[0].port == PGBOUNCER_PORT:
        return Kind.TRANSACTION
    return Kind.DIRECT if is_local(replace(url, hosts=url.hosts[:1])) else Kind.UNKNOWN


def _lower(url: DatabaseUrl) -> DatabaseUrl:
    """Write host names as the table does; a socket's folder is no name."""
    return replace(
        url,
        hosts=tuple(host if host.is_socket else Host(host.name.lower().rstrip("."), host.port) for host in url.hosts),
    )


def _is_local(host: Host) -> bool:
    if not host.name or host.is_socket or host.name.lower().rstrip(".") == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.name.partition("%")[0]).is_loopback
    except ValueError:
        return False
