"""The hosters we know: how their addresses look, and how direct and pooled ones are told apart and derived.

Facts are the providers' own documentation, read in November 2026. Where it says nothing, nothing is guessed: the kind
is unknown, the twin None, the certificate authority not public.
"""

import re
from collections.abc import Callable
from dataclasses import replace
from enum import StrEnum
from typing import NamedTuple

from onetrip._core.url import DatabaseUrl, Host

PGBOUNCER_PORT = 6432
"""PgBouncer's default port; Azure, PlanetScale and Cloud SQL's managed pooler use it too."""

DEFAULT_PORT = 5432
Move = Callable[[DatabaseUrl], DatabaseUrl | None]


class Kind(StrEnum):
    """How a connection reaches a server process."""

    DIRECT = "direct"
    TRANSACTION = "transaction"
    """A pooler that gives a server process for one transaction: no session state survives a COMMIT."""
    SESSION = "session"
    """A pooler that gives a server process for as long as the client stays."""
    UNKNOWN = "unknown"


def _nowhere(_: DatabaseUrl) -> None:
    return None


class Naming(NamedTuple):
    """Tell direct and pooled addresses apart, and turn one into the other; None is "its name does not tell"."""

    kind: Callable[[DatabaseUrl], Kind]
    direct: Move = _nowhere
    pooled: Move = _nowhere
    session: Move | None = None
    """Where a session holds, if that is not the direct address; None is "at the direct one"."""


def _ports(direct: int, pooled: int) -> Naming:
    return Naming(_pooled_at(pooled), lambda url: _at_port(url, direct), lambda url: _at_port(url, pooled))


def _pooled_at(port: int) -> Callable[[DatabaseUrl], Kind]:
    return lambda url: Kind.TRANSACTION if url.hosts[0].port == port else Kind.DIRECT


def _at_port(url: DatabaseUrl, port: int) -> DatabaseUrl:
    return replace(url, hosts=tuple(Host(host.name, port) for host in url.hosts))


def _always(kind: Kind) -> Naming:
    return Naming(lambda _: kind)


def _first_labels(direct: str, pooled: str) -> Naming:
    """Name the pooler in the first label, as ``pgbouncer.`` and ``direct.`` before the same rest."""

    def to(wanted: str, other: str) -> Move:
        def move(url: DatabaseUrl) -> DatabaseUrl | None:
            labels = [host.name.partition(".") for host in url.hosts]
            if any(label not in {wanted, other} for label, _, _ in labels):
                return None
            hosts = (Host(f"{wanted}.{rest}", host.port) for host, (_, _, rest) in zip(url.hosts, labels, strict=True))
            return replace(url, hosts=tuple(hosts))

        return move

    def kind(url: DatabaseUrl) -> Kind:
        return Kind.TRANSACTION if url.hosts[0].name.startswith(pooled + ".") else Kind.DIRECT

    return Naming(kind, to(direct, pooled), to(pooled, direct))


# Neon: the first label alone, for a region may hold "-pooler" too; and the option that stands in for it, which the
# proxy compares with that label letter by letter.

_NEON_OPTION = r"(?<!\S)(endpoint|project)=([a-z0-9-]+)"


def neon_endpoint(url: DatabaseUrl) -> str | None:
    """Return which Neon endpoint a URL names, in its option or its host, with ``-pooler`` if it has that."""
    if option := re.search(_NEON_OPTION, url.params.get("options", "")):
        return option[2]
    return url.hosts[0].name.partition(".")[0] if url.hosts else None


def _suffixed(url: DatabaseUrl) -> Kind:
    return Kind.TRANSACTION if (neon_endpoint(url) or "").endswith("-pooler") else Kind.DIRECT


def _neon_moved(url: DatabaseUrl, suffix: str) -> DatabaseUrl:
    def renamed(host: Host) -> Host:
        label, dot, zone = host.name.partition(".")
        return Host(label.removesuffix("-pooler") + suffix + dot + zone, host.port) if _has_label(host) else host

    options = url.params.get("options")
    if options:
        options = re.sub(_NEON_OPTION, lambda match: f"{match[1]}={match[2].removesuffix('-pooler')}{suffix}", options)
    return replace(url, hosts=tuple(renamed(host) for host in url.hosts)).with_params(options=options)


def _has_label(host: Host) -> bool:
    return host.name.endswith((*_NEON, *_VERCEL))


def _neon_pooled(url: DatabaseUrl) -> DatabaseUrl | None:
    # A branch's host (br-…, for time travel) has no pooler.
    return None if (neon_endpoint(url) or "").startswith("br-") else _neon_moved(url, "-pooler")


def _is_neon_by_option(url: DatabaseUrl) -> bool:
    option = re.search(_NEON_OPTION, url.params.get("options", ""))
    return option is not None and option[2].startswith(("ep-", "br-"))


def _is_neon_local(url: DatabaseUrl) -> bool:
    # Fixed in its image, where PgBouncer pools transactions; its host is localhost or a container's.
    return (url.user, url.password) == ("neon", "npg")


# Xata: -rw is the primary, -ro and -r are replicas, which its pooler does not serve.


def _xata_moved(url: DatabaseUrl, before: str, after: str) -> DatabaseUrl | None:
    labels = [host.name.partition(".") for host in url.hosts]
    if any(label.endswith(("-ro", "-r")) for label, _, _ in labels):
        return None
    names = [label.removesuffix(before).removesuffix(after) + after + dot + zone for label, dot, zone in labels]
    return replace(url, hosts=tuple(Host(name, host.port) for name, host in zip(names, url.hosts, strict=True)))


_XATA = Naming(
    kind=_suffixed,
    direct=lambda url: _xata_moved(url, "-pooler", "-rw") or url,
    pooled=lambda url: _xata_moved(url, "-rw", "-pooler"),
)


# Supabase: the shared pooler knows the project by a suffix of the user's name, the project's own host does not.


def _supabase_direct(url: DatabaseUrl) -> DatabaseUrl | None:
    user, _, project = (url.user or "").rpartition(".")
    if not (user and project):
        return None
    return replace(url, user=user, hosts=(Host(f"db.{project}.supabase.co", DEFAULT_PORT),))


_SUPABASE_SHARED = Naming(
    kind=lambda url: Kind.TRANSACTION if url.hosts[0].port == 6543 else Kind.SESSION,
    direct=_supabase_direct,
    pooled=lambda url: _at_port(url, 6543),
    # Not the direct one: that has an IPv6 address only, which most builders and functions cannot reach.
    session=lambda url: _at_port(url, DEFAULT_PORT),
)


# Prisma: one host for all, and one for all pooled.


def _renamed(name: str) -> Move:
    return lambda url: replace(url, hosts=tuple(Host(name, host.port) for host in url.hosts))


_PRISMA = Naming(
    kind=lambda url: Kind.TRANSACTION if url.hosts[0].name.startswith("pooled.") else Kind.DIRECT,
    direct=_renamed("db.prisma.io"),
    pooled=_renamed("pooled.db.prisma.io"),
)


# Heroku: its hosts are Amazon's, only its generated names tell.


def _is_heroku(url: DatabaseUrl) -> bool:
    return (
        re.fullmatch(r"d[a-z0-9]{9,}", url.database or "") is not None
        and re.match(r"(ec2-|c[a-z0-9]{12,}\.cluster-)", url.hosts[0].name) is not None
    )


class Provider(NamedTuple):
    """Describe one hoster; ``recognise`` adds a condition to the host's suffix."""

    name: str
    suffixes: tuple[str, ...] = ("",)
    naming: Naming = Naming(_pooled_at(PGBOUNCER_PORT))
    recognise: Callable[[DatabaseUrl], bool] = lambda _: True
    public_ca: bool = False
    """Only then can ``verify-full`` hold with the CA bundle every machine has."""
    ipv6_only: bool = False
    sleeps: bool = False
    takes_options: bool = True
    """Whether a direct connection hands ``options=-c name=value`` to the server; a pooler's never does."""
    direct_tls: bool = False
    """Whether TLS may begin with the first byte, without a trip that asks for it; known for a few only."""


_NEON = (".neon.tech",)
_VERCEL = (".postgres.vercel-storage.com",)
_AWS = (".rds.amazonaws.com", ".rds.amazonaws.com.cn")
_EC2 = (".compute.amazonaws.com", ".compute-1.amazonaws.com")
_ON_NEON = Naming(_suffixed, lambda url: _neon_moved(url, ""), _neon_pooled)

# Its pooler comes with some editions only: from there one gets back, the way there is not promised.
_GOOGLE = Naming(_pooled_at(PGBOUNCER_PORT), lambda url: _at_port(url, DEFAULT_PORT))

PROVIDERS: tuple[Provider, ...] = (
    Provider("neon", _NEON, _ON_NEON, public_ca=True, sleeps=True, direct_tls=True),
    Provider("vercel", _VERCEL, _ON_NEON, public_ca=True, sleeps=True, direct_tls=True),
    # A CNAME or an address of one's own: its certificate names neon.tech, so it cannot hold.
    Provider("neon", naming=_ON_NEON, recognise=_is_neon_by_option, sleeps=True),
    Provider("neon-local", naming=_always(Kind.TRANSACTION), recognise=_is_neon_local, sleeps=True),
    Provider("lakebase", (".cloud.databricks.com", ".azuredatabricks.net"), Naming(_suffixed), sleeps=True),
    Provider("supabase", (".pooler.supabase.com",), _SUPABASE_SHARED),
    Provider("supabase", (".supabase.co",), _ports(DEFAULT_PORT, 6543), ipv6_only=True),
    Provider("planetscale", (".psdb.cloud",), _ports(DEFAULT_PORT, PGBOUNCER_PORT), public_ca=True),
    Provider(
        "azure",
        (".postgres.database.azure.com", ".postgres.cosmos.azure.com"),
        _ports(DEFAULT_PORT, PGBOUNCER_PORT),
        public_ca=True,
    ),
    Provider("heroku", (*_EC2, *_AWS), _ports(DEFAULT_PORT, 5433), _is_heroku),
    Provider(
        "rds-proxy",
        _AWS,
        _always(Kind.TRANSACTION),
        lambda url: ".proxy-" in url.hosts[0].name,
        public_ca=True,
    ),
    Provider("rds", _AWS),
    Provider("google", (".sql.goog", ".sql-psa.goog", ".alloydb.goog", ".alloydb-psa.goog"), _GOOGLE),
    Provider("google", naming=_always(Kind.DIRECT), recognise=lambda url: url.hosts[0].name.startswith("/cloudsql/")),
    Provider("render", ("-postgres.render.com",)),
    Provider("render", recognise=lambda url: re.fullmatch(r"dpg-[a-z0-9]+-[a-z]", url.hosts[0].name) is not None),
    Provider("railway", (".railway.internal", ".proxy.rlwy.net"), _always(Kind.DIRECT)),
    Provider("fly", (".flympg.net",), _first_labels("direct", "pgbouncer")),
    Provider("fly", (".flycast",), _first_labels("direct", "pgbouncer"), ipv6_only=True, sleeps=True),
    # Not every *.internal: other clouds and many homes end their names so.
    Provider("fly", (".internal",), recognise=lambda url: ".nearest.of." in url.hosts[0].name, ipv6_only=True),
    # There a pool has a name and a mode of its own, and that name is the database: nothing leads back.
    Provider("digitalocean", (".db.ondigitalocean.com",), Naming(_pooled_at(25061))),
    # There a pooler has a port of its own that nothing tells from the server's.
    Provider("aiven", (".aivencloud.com",), _always(Kind.UNKNOWN)),
    Provider("timescale", (".tsdb.cloud.timescale.com", ".tsdb.cloud.tigerdata.com"), _always(Kind.UNKNOWN)),
    Provider("crunchy", (".postgresbridge.com",), _ports(DEFAULT_PORT, 5431)),
    Provider("cockroach", (".cockroachlabs.cloud",), _always(Kind.DIRECT), public_ca=True),
    Provider("prisma", ("db.prisma.io",), _PRISMA, takes_options=False),
    Provider("xata", (".sql.xata.sh",), _always(Kind.UNKNOWN)),  # the older service, which speaks part of SQL
    Provider("xata", (".xata.sh", ".xata.tech"), _XATA, sleeps=True, takes_options=False),
    Provider("nile", (".thenile.dev",), _always(Kind.UNKNOWN)),
)


def provider_of(url: DatabaseUrl) -> Provider | None:
    """Return whose servers these are, all of them; None where nothing tells. Names must be in lower case."""
    if not url.hosts:
        return None
    return next(
        (
            provider
            for provider in PROVIDERS
            if all(host.name.endswith(provider.suffixes) for host in url.hosts) and provider.recognise(url)
        ),
        None,
    )
