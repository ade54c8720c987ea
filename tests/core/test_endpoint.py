"""What answers behind a URL is told from its host and port alone."""

import pytest

from onetrip._core.endpoint import Kind, describe, direct_twin, pooled_twin
from onetrip._core.url import parse_url

NEON = "ep-cool-darkness-123456"
ENDPOINTS = [
    ("EP-RASPY-GLADE-AD8E3GVY-POOLER.C-2.US-EAST-1.AWS.NEON.TECH", "neon", "transaction"),
    ("ep-x-1.region-pooler.azure.neon.tech", "neon", "direct"),
    ("ep-x-1-pooler.r.aws.neon.tech.", "neon", "transaction"),
    ("ep-x-1-pooler.r.aws.neon.tech,ep-y-2.r.aws.neon.tech", "neon", "transaction"),
    ("ep-x-1.r.aws.neon.tech,db.example.com", None, "unknown"),
    ("neon.tech.example.com", None, "unknown"),
    ("localhost", None, "direct"),
    ("localhost:6432", None, "transaction"),
]


@pytest.mark.parametrize(("place", "provider", "kind"), ENDPOINTS)
def test_provider_and_pooler_are_told_from_the_address(place: str, provider: str | None, kind: str) -> None:
    """Only the end of a name says whose server it is, only Neon's first label where its pooler stands."""
    endpoint = describe(parse_url(f"postgresql://u:p@{place}/d"))
    assert (endpoint.provider, endpoint.kind) == (provider, kind)


@pytest.mark.parametrize(
    "place", ["localhost", "LOCALHOST:1", "127.0.0.1", "127.9.8.7", "[::1]", "%2Frun%2Fpg", "", "localhost,127.0.0.1"]
)
def test_this_machine_is_local(place: str) -> None:
    """Loopback, sockets and no host at all are local."""
    assert describe(parse_url(f"postgresql://u@{place}/d")).is_local


@pytest.mark.parametrize(
    "place", ["db", "10.0.0.1", "localhost.example.com", "[2001:db8::1]", "localhost,db", "1270.0.0.1"]
)
def test_everything_else_is_remote(place: str) -> None:
    """A private address or a bare name is another machine, and one remote host is enough."""
    assert not describe(parse_url(f"postgresql://u@{place}/d")).is_local


@pytest.mark.parametrize("hosts", ["", "localhost", "db.example.com"])
@pytest.mark.parametrize(("address", "local"), [("10.0.0.1", False), ("127.0.0.1", True), ("::1,10.0.0.1", False)])
def test_the_address_that_is_dialled_decides(hosts: str, address: str, local: bool) -> None:
    """``hostaddr`` beside a name is where libpq goes: without TLS only if it is this machine."""
    assert describe(parse_url(f"postgresql://u@{hosts}/d?hostaddr={address}")).is_local is local


@pytest.mark.parametrize(
    ("pooler", "kind"), [("none", "direct"), ("transaction", "transaction"), ("session", "session")]
)
def test_an_explicit_pooler_has_the_last_word(pooler: str, kind: str) -> None:
    """What the user says beats what the address says."""
    assert describe(parse_url(f"postgresql://u@{NEON}-pooler.x.neon.tech/d"), pooler).kind == kind


def test_pgbouncer_in_the_url_means_a_transaction_pooler() -> None:
    """``pgbouncer=true``, as Supabase and Prisma write it, is understood."""
    assert describe(parse_url("postgresql://u@db.example.com/d?pgbouncer=true")).kind is Kind.TRANSACTION


TWINS = [
    (f"{NEON}-pooler.us-east-2.aws.neon.tech", f"{NEON}.us-east-2.aws.neon.tech"),
    ("eu-west-1.pg.psdb.cloud:6432", "eu-west-1.pg.psdb.cloud:5432"),
    ("ep-x-pooler.r.aws.neon.tech,ep-y-pooler.r.aws.neon.tech", "ep-x.r.aws.neon.tech,ep-y.r.aws.neon.tech"),
]


@pytest.mark.parametrize(("pooled", "direct"), TWINS)
def test_twins_are_derived_from_each_other(pooled: str, direct: str) -> None:
    """The direct address follows from the pooled one and back; user, password, database and parameters stay."""
    wrap = "postgresql://u-pooler.x:p.-pooler.@{}/d-pooler?sslmode=require"
    assert direct_twin(parse_url(wrap.format(pooled))) == parse_url(wrap.format(direct))
    assert pooled_twin(parse_url(wrap.format(direct))) == parse_url(wrap.format(pooled))


def test_a_twin_of_itself_is_itself() -> None:
    """Asking twice changes nothing."""
    url = parse_url(f"postgresql://u@{NEON}.x.neon.tech/d")
    assert direct_twin(url) == url


@pytest.mark.parametrize("place", ["db.example.com:6432", "localhost", "x.rds.amazonaws.com"])
def test_an_unknown_naming_gives_no_twin(place: str) -> None:
    """Nothing is guessed."""
    assert direct_twin(parse_url(f"postgresql://u@{place}/d")) is None
