"""Every provider's URL is known for what it is, and no driver gets weaker TLS than it asks for."""

from collections.abc import Mapping
from typing import Any

import pytest

from onetrip._core.endpoint import Endpoint, describe, direct_twin, pooled_twin, session_twin
from onetrip._core.profile import DRIVERS, connect_profile
from onetrip._core.url import DatabaseUrl, parse_url
from onetrip.errors import ConfigurationError
from tests.core.provider_table import ROWS, Row

STRENGTH = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
rows = pytest.mark.parametrize("row", ROWS, ids=str)


def told(text: str) -> Endpoint:
    """Describe a URL."""
    return describe(parse_url(text))


def test_the_table_is_long_enough() -> None:
    """Sixty URLs are promised."""
    assert len({row.url for row in ROWS}) == len(ROWS) >= 60


@rows
def test_provider_and_pooler_are_told_from_the_url(row: Row) -> None:
    """Host, port and names say whose server it is and whether a pooler stands before it."""
    endpoint = told(row.url)
    assert (endpoint.provider or "-", endpoint.kind) == (row.provider, row.kind)


def address(url: DatabaseUrl) -> str:
    """Write user, hosts and ports, the default one included."""
    return f"{url.user}@" + ",".join(f"{host.name}:{host.port or 5432}" for host in url.hosts)


@rows
@pytest.mark.parametrize("which", ["direct", "pooled"])
def test_the_twins_are_told_as_far_as_the_name_tells(row: Row, which: str) -> None:
    """The direct and the pooled address follow from each other; database, password and TLS stay."""
    url = parse_url(row.url)
    twin = (direct_twin if which == "direct" else pooled_twin)(url)
    expected = row.direct if which == "direct" else row.pooled
    if expected == "-":
        assert twin is None
        return
    assert twin is not None
    text = address(url) if expected == "=" else expected if "@" in expected else f"{url.user}@{expected}"
    assert address(twin) == (text if text.rpartition(":")[2].isdigit() else f"{text}:5432")
    assert (twin.database, twin.password, twin.driver) == (url.database, url.password, url.driver)
    left_alone = {"options", "pgbouncer"}
    assert _without(twin.params, left_alone) == _without(url.params, left_alone)
    if which == "direct":
        assert describe(twin).kind == "direct"


@rows
def test_a_twin_of_a_twin_leads_back(row: Row) -> None:
    """Where both are known, from the pooled twin of the direct twin one returns to the direct twin."""
    direct = direct_twin(parse_url(row.url))
    pooled = pooled_twin(direct) if direct else None
    if direct is not None and pooled is not None:
        back = direct_twin(pooled)
        assert back is not None
        assert address(back) == address(direct)


def _without(params: Mapping[str, str], names: set[str]) -> dict[str, str]:
    return {name: value for name, value in params.items() if name not in names}


def written(params: Mapping[str, str]) -> str:
    """Return the level of TLS that a URL asks for, as libpq's manual reads it."""
    mode = params.get("sslmode") or params.get("ssl") or "prefer"
    mode = {"true": "require", "no-verify": "require"}.get(mode, mode)
    if "sslrootcert" not in params:
        return mode
    return "verify-full" if params["sslrootcert"] == "system" else "verify-ca" if mode == "require" else mode


@rows
@pytest.mark.parametrize("driver", DRIVERS)
def test_tls_is_never_lowered(row: Row, driver: str) -> None:
    """What the driver gets is at least what the URL says, and exactly what the table says."""
    url = parse_url(row.url)
    profile = connect_profile(url, driver, ca_bundle=lambda: "/ca.pem")
    level = profile.tls.mode
    assert level == (row.asyncpg if driver == "asyncpg" else row.libpq)
    assert STRENGTH.index(level) >= STRENGTH.index(written(url.params))
    if driver != "asyncpg":
        assert profile.arguments["sslmode"] == level
    if url.params.get("channel_binding") == "require":
        assert level == "verify-full" or profile.arguments["channel_binding"] == "require"
    if not describe(url).is_local and url.params.get("sslmode") != "disable":
        assert STRENGTH.index(level) >= STRENGTH.index("require"), (
            "nothing remote in clear unless the URL itself says so"
        )


@rows
@pytest.mark.parametrize("driver", DRIVERS)
def test_knobs_follow_from_the_endpoint(row: Row, driver: str) -> None:
    """Prepared statements and their caches are off through a transaction pooler, on elsewhere, and never renamed."""
    profile = connect_profile(parse_url(row.url), driver, ca_bundle=lambda: "/ca.pem")
    knobs: dict[str, Any] = profile.arguments | profile.dialect_arguments
    found = {name: value for name, value in knobs.items() if "prepare" in name or "cache" in name}
    off = {"psycopg": {"prepare_threshold": None}, "psycopg2": {}}
    off["asyncpg"] = {"statement_cache_size": 0, "prepared_statement_cache_size": 0}
    assert found == (off[driver] if row.kind == "transaction" else {})


NEON = "postgresql://u:p@ep-x-1{}.eu-west-2.aws.neon.tech/d"


def test_the_option_that_stands_for_a_neon_host_moves_with_it() -> None:
    """The proxy compares the option with the host letter by letter; without a host of its own it decides alone."""
    direct = NEON.format("") + "?options=-c%20TimeZone%3DUTC%20endpoint%3Dep-x-1"
    pooled = NEON.format("-pooler") + "?options=-c%20TimeZone%3DUTC%20endpoint%3Dep-x-1-pooler"
    assert pooled_twin(parse_url(direct)) == parse_url(pooled)
    assert direct_twin(parse_url(pooled)) == parse_url(direct)
    assert told("postgresql://u@10.0.0.1/d?options=endpoint%3Dep-x-1-pooler").pooled
    assert told("postgresql://u@10.0.0.1/d?options=endpoint%3Dep-x-1").takes_options


def test_a_session_holds_at_supabases_session_pooler() -> None:
    """Migrations go there: the direct host has an IPv6 address only, which most builders cannot reach."""
    shared = "postgresql://postgres.ref:p@aws-0-eu-central-1.pooler.supabase.com:{}/postgres"
    assert session_twin(parse_url(shared.format(6543))) == parse_url(shared.format(5432))
    own = "postgresql://postgres:p@db.ref.supabase.co:{}/postgres"
    assert session_twin(parse_url(own.format(6543))) == parse_url(own.format(5432))


@pytest.mark.parametrize(
    ("place", "only"),
    [("db.ref.supabase.co", True), ("aws-0-eu-west-1.pooler.supabase.com", False), ("x.flycast", True), ("h", False)],
)
def test_hosts_without_an_ipv4_address_are_known(place: str, only: bool) -> None:
    """Who has no IPv6 cannot reach them, and should be told so."""
    assert told(f"postgresql://u@{place}/d").ipv6_only is only


@pytest.mark.parametrize(
    ("text", "sleeps"),
    [
        (NEON.format(""), True),
        (NEON.format("-pooler"), True),
        ("postgres://neon:npg@localhost/neondb", True),
        ("postgresql://u@x.rds.amazonaws.com/d", False),
        ("postgresql://u@localhost/d", False),
    ],
)
def test_endpoints_that_suspend_are_known(text: str, sleeps: bool) -> None:
    """Asking them regularly keeps them awake, which costs their owner money."""
    assert told(text).sleeps is sleeps


@pytest.mark.parametrize(
    ("text", "takes"),
    [
        (NEON.format(""), True),
        (NEON.format("-pooler"), False),
        ("postgresql://postgres.r:p@aws-0-x.pooler.supabase.com:5432/d", False),
        ("postgresql://u@x.proxy-a.eu-west-1.rds.amazonaws.com/d", False),
        ("postgresql://u@x.a.eu-west-1.rds.amazonaws.com/d", True),
        ("postgresql://u@db.prisma.io/d", False),
        ("postgresql://u@db.example.com/d", False),
        ("postgresql://u@localhost/d", True),
    ],
)
def test_time_outs_go_at_start_up_only_where_they_arrive(text: str, takes: bool) -> None:
    """A pooler refuses ``options`` or drops them, and of an unknown host nothing is known: there they ride along."""
    assert told(text).takes_options is takes


POOLED = "postgresql://u:hunter22@{}/d?options={}"
REFUSED = [
    ("ep-x-1-pooler.r.aws.neon.tech", "-c%20search_path%3Dx", "search_path", "ALTER ROLE … SET search_path = …"),
    ("ep-x-1-pooler.r.aws.neon.tech", "-csearch_path%3Dx", "search_path", "ALTER ROLE … SET search_path = …"),
    ("ep-x-1-pooler.r.aws.neon.tech", "--search-path%3Dx", "search_path", "ALTER ROLE … SET search_path = …"),
    ("ep-x-1-pooler.r.aws.neon.tech", "-c%20a.b%3D1%5C%202%20-c%20jit%3Doff", "a.b", "or use the direct URL"),
    (
        "localhost:6432",
        "-c%20TimeZone%3DUTC%20-c%20statement_timeout%3D5000",
        "statement_timeout",
        "DATABASE_STATEMENT",
    ),
    ("localhost:6432", "-c%20idle_in_transaction_session_timeout%3D1", "idle_in_", "DATABASE_IDLE_IN_TRANSACTION"),
    ("localhost:6432", "-B%2032", "only -c name=value", "remove it"),
    ("localhost:6432", "-c", "only -c name=value", "remove it"),
    ("x.proxy-a.eu-west-1.rds.amazonaws.com", "-c%20TimeZone%3DUTC", "RDS Proxy", "ALTER ROLE … SET TimeZone = …"),
]


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize(("place", "options", "what", "hint"), REFUSED)
def test_options_that_a_pooler_refuses_are_refused_before_it(
    place: str, options: str, what: str, hint: str, driver: str
) -> None:
    """The error names the parameter and what to write instead, before the first connection does."""
    url = parse_url(POOLED.format(place, options))
    with pytest.raises(ConfigurationError) as caught:
        connect_profile(url, driver, ca_bundle=lambda: "/ca.pem")
    assert what in caught.value.what
    assert hint in (caught.value.hint or "")
    assert "hunter22" not in str(caught.value)
    connect_profile(url, driver, ca_bundle=lambda: "/ca.pem", pooled=False)  # the user knows better


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize(
    ("place", "options"),
    [
        ("ep-x-1-pooler.r.aws.neon.tech", "endpoint%3Dep-x-1-pooler%20-c%20DateStyle%3DISO"),
        ("ep-x-1-pooler.r.aws.neon.tech", "neon_proxy_params_compat:true"),
        ("localhost:6432", "-c%20TimeZone%3DUTC%20--application-name%3Dx%20-c%20client_encoding%3DUTF8"),
        ("aws-0-eu-west-1.pooler.supabase.com:6543", "reference%3Dabc"),
    ],
)
def test_options_that_a_pooler_takes_are_passed_on(place: str, options: str, driver: str) -> None:
    """What it tracks for each client, and what the proxy before it takes out, arrives as it was written."""
    url = parse_url(POOLED.format(place, options))
    arguments = connect_profile(url, driver, ca_bundle=lambda: "/ca.pem").arguments
    assert (arguments["server_settings"] if driver == "asyncpg" else arguments)["options"] == url.params["options"]
