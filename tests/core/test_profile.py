"""Every provider's URL becomes arguments that each driver takes, with TLS at least as strong as written."""

import asyncio
from typing import Any

import asyncpg
import psycopg
import psycopg2.extensions
import pytest

from onetrip._core.profile import DRIVERS, ConnectProfile, connect_profile
from onetrip._core.url import parse_url
from onetrip.errors import ConfigurationError
from tests.core.provider_table import PASSWORD, RAW, ROWS

CA = "/certificates/ca.pem"


def ca_bundle() -> str:
    """Name a file of certificates that nobody opens."""
    return CA


NEON = "ep-cool-darkness-123456"


def profile(text: str, driver: str, **options: Any) -> ConnectProfile:
    """Build the profile under test."""
    return connect_profile(
        parse_url(text), driver, ca_bundle=ca_bundle, connect_timeout=10, application_name="ours", **options
    )


@pytest.mark.parametrize(("text", "mode"), [(row.url, row.libpq) for row in ROWS])
def test_libpq_takes_every_providers_url(text: str, mode: str) -> None:
    """The real libpq, in both drivers, accepts the arguments and keeps password, host and TLS mode."""
    url = parse_url(text)
    for driver, make in (("psycopg", psycopg.conninfo.make_conninfo), ("psycopg2", psycopg2.extensions.make_dsn)):
        made = profile(text, driver)
        arguments = {name: value for name, value in made.arguments.items() if name != "prepare_threshold"}
        taken = psycopg.conninfo.conninfo_to_dict(make(**arguments))
        assert made.tls.mode == taken["sslmode"] == mode
        assert taken.get("password") == url.password
        assert taken.get("host", "") == ",".join(host.name for host in url.hosts)
        assert taken["gssencmode"] == "disable"


@pytest.mark.parametrize(("text", "mode"), [(row.url, row.asyncpg) for row in ROWS])
async def test_asyncpg_takes_every_providers_url(text: str, mode: str) -> None:
    """The real asyncpg accepts every argument by name: it gets as far as the network, and is stopped there."""
    made = profile(text, "asyncpg")
    assert made.tls.mode == mode
    assert made.arguments.get("password") == parse_url(text).password
    arguments = made.arguments | {"host": "/nowhere", "port": 1, "timeout": 1, "ssl": "require"}
    with pytest.raises((OSError, asyncio.TimeoutError)):
        await asyncpg.connect(**arguments | ({} if "user" in arguments else {"user": "u"}))


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("text", [row.url for row in ROWS])
def test_a_profile_is_printed_without_its_password(text: str, driver: str) -> None:
    """The arguments hold the password; their owner does not show it."""
    made = profile(text, driver)
    assert RAW not in repr(made)
    assert PASSWORD not in repr(made)


STRENGTH = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("mode", STRENGTH)
@pytest.mark.parametrize("binding", ["", "&channel_binding=prefer", "&channel_binding=require"])
@pytest.mark.parametrize("place", ["db.example.com", f"{NEON}.x.neon.tech", "localhost"])
def test_tls_is_never_lowered(driver: str, mode: str, binding: str, place: str) -> None:
    """What comes out is at least what the URL says, and a remote host is never asked politely."""
    made = profile(f"postgresql://u@{place}/d?sslmode={mode}{binding}", driver)
    assert STRENGTH.index(made.tls.mode) >= STRENGTH.index(mode)
    assert made.tls.mode not in {"allow", "prefer"} or place == "localhost"
    assert (made.tls.rootcert == CA) is made.tls.verifies
    assert made.notes or made.tls.mode == mode


def test_channel_binding_becomes_verify_full_for_asyncpg_and_is_said() -> None:
    """What asyncpg lacks is replaced by something as strong, and explained."""
    made = profile(ROWS[0].url, "asyncpg")
    assert (made.tls.mode, made.tls.rootcert) == ("verify-full", CA)
    assert made.notes == ("channel_binding=require became sslmode=verify-full: asyncpg has no channel binding",)
    assert "channel_binding" not in made.arguments


def test_channel_binding_stays_for_libpq() -> None:
    """A driver on libpq binds channels itself."""
    made = profile(ROWS[0].url, "psycopg")
    assert made.arguments["channel_binding"] == "require"
    assert made.notes == ()


def test_the_systems_store_is_replaced_by_a_named_bundle() -> None:
    """``sslrootcert=system`` does not work in the drivers' wheels; a file does, and a note says so."""
    made = profile("postgresql://u@db.example.com/d?sslrootcert=system", "psycopg")
    assert (made.arguments["sslmode"], made.arguments["sslrootcert"]) == ("verify-full", CA)
    assert "sslrootcert=system became" in made.notes[0]


@pytest.mark.parametrize(
    ("driver", "arguments", "dialect"),
    [
        ("psycopg", {"prepare_threshold": None}, {}),
        ("psycopg2", {}, {}),
        ("asyncpg", {"statement_cache_size": 0}, {"prepared_statement_cache_size": 0}),
    ],
)
def test_prepared_statements_are_off_through_a_transaction_pooler(
    driver: str, arguments: dict[str, Any], dialect: dict[str, Any]
) -> None:
    """The knobs that keep a driver from naming statements are set on the pooled URL, and only there."""
    names = {"prepare_threshold", "statement_cache_size"}
    pooled = profile(f"postgresql://u@{NEON}-pooler.x.neon.tech/d", driver)
    assert {name: value for name, value in pooled.arguments.items() if name in names} == arguments
    assert pooled.dialect_arguments == dialect
    direct = profile(f"postgresql://u@{NEON}.x.neon.tech/d", driver)
    assert not names & direct.arguments.keys()
    assert direct.dialect_arguments == {}


@pytest.mark.parametrize("text", ["postgresql://u@localhost/d?pgbouncer=true", "postgresql://u@localhost:6432/d"])
def test_a_pooler_is_also_told_by_parameter_or_port(text: str) -> None:
    """``pgbouncer=true`` is understood, and removed before a driver sees it."""
    made = profile(text, "psycopg")
    assert made.arguments["prepare_threshold"] is None
    assert "pgbouncer" not in made.arguments


def test_who_knows_that_the_pooler_follows_prepared_statements_says_so() -> None:
    """A size of the cache in the URL turns them on again, for every driver; zero does not."""
    text = f"postgresql://u@{NEON}-pooler.x.neon.tech/d?statement_cache_size="
    assert profile(text + "100", "asyncpg").arguments["statement_cache_size"] == 100
    assert "prepare_threshold" not in profile(text + "100", "psycopg").arguments
    assert profile(text + "0", "psycopg").arguments["prepare_threshold"] is None


def test_what_the_caller_knows_about_the_pooler_wins() -> None:
    """``pooled=False`` keeps prepared statements, whatever the port looks like."""
    assert "prepare_threshold" not in profile("postgresql://u@localhost:6432/d", "psycopg", pooled=False).arguments


@pytest.mark.parametrize("driver", DRIVERS)
def test_time_out_name_and_options_work_for_every_driver(driver: str) -> None:
    """``connect_timeout``, ``application_name`` and ``options`` mean the same everywhere."""
    url = parse_url("postgresql://u@h/d?connect_timeout=7&application_name=mine&options=-c%20TimeZone%3DUTC")
    got = connect_profile(url, driver, ca_bundle=ca_bundle, application_name="ours").arguments
    settings = got["server_settings"] if driver == "asyncpg" else got
    assert got["timeout" if driver == "asyncpg" else "connect_timeout"] == 7
    assert (settings["application_name"], settings["options"]) == ("mine", "-c TimeZone=UTC")


@pytest.mark.parametrize(("given", "whole"), [(0.2, 1), (2, 2), (2.5, 3)])
def test_a_time_out_is_rounded_up_for_libpq(given: float, whole: int) -> None:
    """For libpq a second is the smallest unit, and 0 would wait without end."""
    url = parse_url("postgresql://u@h/d?connect_timeout=99")
    assert (
        connect_profile(url, "psycopg2", ca_bundle=ca_bundle, connect_timeout=given).arguments["connect_timeout"]
        == whole
    )
    assert connect_profile(url, "asyncpg", ca_bundle=ca_bundle, connect_timeout=given).arguments["timeout"] == given


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("name", ["foo", "connection_limit", "schema", "sslmod", "service"])
def test_an_unknown_parameter_is_refused_by_name(driver: str, name: str) -> None:
    """A parameter that nobody honours is named, not dropped."""
    with pytest.raises(ConfigurationError, match=rf"parameter '{name}'") as caught:
        profile(f"postgresql://u:hunter22@h/d?{name}=1", driver)
    assert caught.value.hint


@pytest.mark.parametrize(
    "parameter", ["require_auth=scram-sha-256", "hostaddr=10.0.0.1", "gssencmode=require", "sslsni=0"]
)
def test_what_asyncpg_cannot_honour_is_refused(parameter: str) -> None:
    """A promise that asyncpg cannot keep is an error there, and none for libpq."""
    text = f"postgresql://u@h/d?{parameter}"
    profile(text, "psycopg")
    with pytest.raises(ConfigurationError, match=parameter.partition("=")[0]):
        profile(text, "asyncpg")


def test_what_only_tunes_a_socket_is_left_out_and_said() -> None:
    """Keepalive settings do not exist in asyncpg; going without them weakens nothing."""
    made = profile("postgresql://u@localhost/d?keepalives_idle=30", "asyncpg")
    assert made.notes == ("keepalives_idle is left to the operating system: asyncpg cannot set it",)


def test_files_for_tls_are_kept_apart_for_asyncpg() -> None:
    """The context for asyncpg is made from these elsewhere; the description holds names, no objects."""
    made = profile("postgresql://u@h/d?sslmode=verify-full&sslcert=/c&sslkey=/k&sslrootcert=/r", "asyncpg")
    assert (made.tls.rootcert, made.tls_files) == ("/r", {"sslcert": "/c", "sslkey": "/k"})
    assert "sslcert" not in made.arguments


def test_direct_tls_negotiation_is_passed_on() -> None:
    """``sslnegotiation=direct`` saves a round trip with every driver that knows it."""
    text = "postgresql://u@h/d?sslmode=require&sslnegotiation=direct"
    assert profile(text, "asyncpg").arguments["direct_tls"] is True
    assert profile(text, "psycopg").arguments["sslnegotiation"] == "direct"


@pytest.mark.parametrize(
    ("text", "driver", "libpq", "direct"),
    [
        (ROWS[0].url, "psycopg", 180006, True),
        (ROWS[0].url, "psycopg2", 160000, False),  # it would refuse the very word
        (ROWS[0].url, "asyncpg", 0, True),
        (ROWS[0].url + "&sslnegotiation=postgres", "psycopg", 180006, False),
        (f"postgresql://u@{NEON}.x.neon.tech/d?sslmode=disable", "psycopg", 180006, False),
        ("postgresql://u@db.example.com/d?sslmode=require", "psycopg", 180006, False),
    ],
)
def test_tls_begins_directly_where_server_and_driver_can(text: str, driver: str, libpq: int, *, direct: bool) -> None:
    """Connecting is a trip shorter at Neon; elsewhere nobody knows, and a server that cannot would hang up."""
    made = connect_profile(parse_url(text), driver, ca_bundle=ca_bundle, libpq=libpq)
    assert (made.arguments.get("sslnegotiation") == "direct" or "direct_tls" in made.arguments) is direct


def test_a_wrong_tls_mode_is_refused() -> None:
    """A mode that does not exist is no reason to connect without one."""
    with pytest.raises(ConfigurationError, match="sslmode"):
        profile("postgresql://u@h/d?sslmode=verify_full", "psycopg")


def test_a_wrong_driver_is_refused() -> None:
    """A driver that we do not know is named."""
    with pytest.raises(ConfigurationError, match="'pg8000' is not a driver"):
        profile("postgresql://u@h/d", "pg8000")


@pytest.mark.parametrize("name", ["SQL_ASCII", "sql-ascii"])
def test_an_encoding_in_which_text_is_bytes_is_refused(name: str) -> None:
    """Psycopg returns bytes in SQL_ASCII, and SQLAlchemy breaks on them somewhere else."""
    with pytest.raises(ConfigurationError, match="SQL_ASCII"):
        connect_profile(
            parse_url(f"postgresql://u@localhost/app?client_encoding={name}"), "psycopg", ca_bundle=ca_bundle
        )
