"""The Neon-like proxy does to a client what Neon's does."""

import re
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import asyncpg
import psycopg
import psycopg2
import pytest

from tests.harness import neon_rules as rules
from tests.harness import pgwire
from tests.harness.certificates import Authority
from tests.harness.neon import NeonProxy
from tests.harness.postgres import APP, Postgres
from tests.harness.wait import until

pytestmark = pytest.mark.usefixtures("neon_names")
BOTH = pytest.mark.parametrize("pooled", [False, True], ids=["direct", "pooled"])


def ask(url: str, query: str = "SELECT 1") -> Any:
    """Connect, ask one question, hang up."""
    with psycopg.connect(url) as connection:
        row = connection.execute(query.encode()).fetchone()
        assert row
        return row[0]


def refusal(url: str) -> str:
    """Return what the proxy says instead of letting psycopg in."""
    with pytest.raises(psycopg.OperationalError) as refused:
        psycopg.connect(url)
    return str(refused.value).partition("failed: ")[2].partition("failed: ")[2].strip()


async def asyncpg_error(url: str) -> Exception:
    """Return what asyncpg raises, which keeps the SQLSTATE that libpq throws away while connecting."""
    try:
        await asyncpg.connect(url.replace("&channel_binding=require", ""))
    except Exception as error:  # noqa: BLE001  it is the answer
        return error
    raise AssertionError("connected")


# TLS


@BOTH
def test_the_url_of_the_console_works_with_channel_binding(neon: NeonProxy, *, pooled: bool) -> None:
    """SCRAM-SHA-256-PLUS, which psycopg and psycopg2 insist on, is spoken."""
    url = neon.url(pooled=pooled)
    assert "channel_binding=require" in url
    assert ask(url, "SELECT current_user") == APP
    psycopg2.connect(url).close()


async def test_asyncpg_logs_in_without_channel_binding(neon: NeonProxy) -> None:
    """SCRAM-SHA-256 is offered beside it."""
    connection = await asyncpg.connect(neon.url(channel_binding=None))
    assert await connection.fetchval("SELECT 1") == 1
    await connection.close()


@pytest.mark.parametrize("zone", rules.ZONES)
def test_the_wildcard_certificate_holds(neon: NeonProxy, zone: str) -> None:
    """verify-full accepts both kinds of host names."""
    assert ask(neon.url(host=neon.hostname(zone=zone), sslmode="verify-full")) == 1


def test_another_authority_does_not_hold(neon: NeonProxy, tmp_path: Path) -> None:
    """A client that does not know who signed it refuses."""
    stranger = tmp_path / "ca.crt"
    stranger.write_bytes(Authority("stranger").certificate)
    with pytest.raises(psycopg.OperationalError, match="certificate verify failed"):
        psycopg.connect(neon.url(sslmode="verify-full", sslrootcert=stranger))


async def test_plaintext_is_refused(neon: NeonProxy) -> None:
    """The start-up packet of a client that asks for no TLS is answered by an error that names sslmode."""
    url = neon.url(sslmode="disable", channel_binding=None)
    assert refusal(url) == f"ERROR:  {rules.INSECURE}"
    assert getattr(await asyncpg_error(url), "sqlstate", None) == "XX000"


def test_gss_encryption_is_declined(neon: NeonProxy) -> None:
    """A client that asks for GSS first hears N, and may ask for TLS on the same connection."""
    with socket.create_connection((neon.host, neon.port)) as client:
        for request, answer in ((pgwire.GSS_REQUEST, b"N"), (pgwire.SSL_REQUEST, b"S")):
            client.sendall(pgwire.message(b"", pgwire.number(request)))
            assert client.recv(1) == answer


def test_direct_tls_is_spoken(neon: NeonProxy) -> None:
    """sslnegotiation=direct saves the question."""
    assert ask(neon.url(sslnegotiation="direct")) == 1


# Routing


def test_the_suffix_leads_to_the_pooler(neon: NeonProxy, postgres: Postgres) -> None:
    """Direct connections have backends of their own, two pooled ones in turn share one."""
    backends = {pooled: {ask(neon.url(pooled=pooled), "SELECT pg_backend_pid()") for _ in "12"} for pooled in (0, 1)}
    assert len(backends[0]) == 2
    assert len(backends[1]) == 1


def test_without_a_name_the_endpoint_comes_from_options(neon: NeonProxy) -> None:
    """A client without SNI says endpoint=… in options, and that piece does not reach the server."""
    url = neon.url(sslsni=0, options=f"endpoint={neon.endpoint} -c search_path=x")
    assert ask(url, "SHOW search_path") == "x"
    assert neon.startups[-1]["options"] == "-c search_path=x"


def test_without_a_name_the_endpoint_comes_with_the_password(neon: NeonProxy) -> None:
    """The way in for clients that can do neither."""
    password = f"endpoint={neon.endpoint};{neon.passwords[APP]}"
    assert ask(neon.url(sslsni=0, channel_binding=None, password=password)) == 1


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ({"sslsni": 0, "channel_binding": None}, rules.NO_ENDPOINT),
        ({"options": "endpoint=ep-other"}, rules.INCONSISTENT.format("ep-cool-darkness-123456", "ep-other")),
        ({"sslsni": 0, "options": "endpoint=ep_x"}, rules.MALFORMED.format("ep_x")),
    ],
    ids=["none", "two", "malformed"],
)
def test_an_endpoint_that_cannot_be_told_is_refused(neon: NeonProxy, query: dict[str, Any], text: str) -> None:
    """The proxy's own words say what is missing."""
    assert refusal(neon.url(**query)) == f"ERROR:  {text}"


@pytest.mark.parametrize(
    "wrong",
    [{"password": "wrong"}, {"user": "nobody", "password": "x"}, {"host": "ep-other-1.us-east-2.aws.neon.tech"}],
    ids=["password", "role", "endpoint"],
)
async def test_nobody_learns_what_was_wrong(neon: NeonProxy, wrong: dict[str, str]) -> None:
    """Password, role and endpoint are refused alike, after a whole SCRAM exchange, as XX000."""
    user = wrong.get("user", APP)
    assert refusal(neon.url(**wrong)) == f"ERROR:  {rules.WRONG_PASSWORD.format(user)}"
    assert getattr(await asyncpg_error(neon.url(**wrong)), "sqlstate", None) == "XX000"


# Start-up parameters


async def test_start_up_parameters_vanish(neon: NeonProxy) -> None:
    """Only application_name survives; the client hears nothing of the rest."""
    settings = {"search_path": "x", "statement_timeout": "1234", "application_name": "mine"}
    connection = await asyncpg.connect(neon.url(channel_binding=None), server_settings=settings)
    found = [await connection.fetchval(f"SHOW {name}") for name in settings]
    await connection.close()
    assert found == ['"$user", public', "0", "mine"]


def test_options_arrive_on_a_direct_connection(neon: NeonProxy) -> None:
    """They are forwarded, but for what is Neon's own."""
    url = neon.url(options="neon_endpoint_type:read_only -c statement_timeout=1234")
    assert ask(url, "SHOW statement_timeout") == "1234ms"
    assert neon.startups[-1]["options"] == "-c statement_timeout=1234"


def test_options_are_refused_on_a_pooled_connection(neon: NeonProxy) -> None:
    """PgBouncer's words come with advice, the SQLSTATE is gone."""
    text = refusal(neon.url(pooled=True, options="-c search_path=x"))
    assert re.match(r"ERROR:  unsupported startup parameter.*options.*\. Please use unpooled connection or", text)


def test_client_encoding_is_forced(neon: NeonProxy) -> None:
    """What a client asks for at start-up is not what it gets."""
    assert ask(neon.url(client_encoding="latin1"), "SHOW client_encoding") == "UTF8"


def test_the_switch_forwards_everything(neon: NeonProxy) -> None:
    """neon_proxy_params_compat:true is the documented way to keep start-up parameters."""
    kept = {"user": APP, "search_path": "x", "options": "neon_proxy_params_compat:true"}
    assert rules.forwarded(kept) == {"user": APP, "search_path": "x", "client_encoding": "UTF8"}


def test_newer_protocols_are_talked_down(neon: NeonProxy) -> None:
    """A client of protocol 3.2 is served 3.0."""
    with psycopg.connect(neon.url(max_protocol_version="3.2")) as connection:
        assert connection.pgconn.full_protocol_version == 30000


# Errors


async def test_a_refusal_is_the_test_s_own(neon: NeonProxy) -> None:
    """Text and SQLSTATE are what the test says, for the time of the block."""
    with neon.refusing(rules.DISABLED, "28000"):
        assert refusal(neon.url()) == f"ERROR:  {rules.DISABLED}"
        assert getattr(await asyncpg_error(neon.url()), "sqlstate", None) == "28000"
    assert ask(neon.url()) == 1


@pytest.mark.parametrize(("keeps", "sqlstate"), [(False, "XX000"), (True, "3D000")], ids=["published", "reported"])
async def test_what_the_compute_says_while_connecting_loses_its_sqlstate(
    neon: NeonProxy, monkeypatch: pytest.MonkeyPatch, sqlstate: str, *, keeps: bool
) -> None:
    """Only the text survives, unless the proxy plays what production is reported to do."""
    monkeypatch.setattr(neon, "keeps_sqlstates", keeps)
    error = await asyncpg_error(neon.url("absent"))
    assert (getattr(error, "sqlstate", None), str(error)) == (sqlstate, 'database "absent" does not exist')


# Cancelling


@BOTH
def test_a_cancel_request_finds_its_statement(neon: NeonProxy, postgres: Postgres, *, pooled: bool) -> None:
    """The client has a key of the proxy's making, and cancelling by it works."""
    with psycopg.connect(neon.url(pooled=pooled), autocommit=True) as connection, ThreadPoolExecutor(1) as thread:
        backend = connection.execute("SELECT pg_backend_pid()").fetchone()
        assert backend != (connection.info.backend_pid,)
        sleeping = thread.submit(connection.execute, "SELECT pg_sleep(60)")
        until(lambda: any((b.state, b.query) == ("active", "SELECT pg_sleep(60)") for b in postgres.backends()))
        connection.cancel_safe(timeout=5)
        with pytest.raises(psycopg.errors.QueryCanceled):
            sleeping.result(timeout=10)


async def test_a_full_database_says_so_without_its_sqlstate(neon: NeonProxy, postgres: Postgres, database: str) -> None:
    """53300 while connecting arrives as XX000: only the text tells."""
    postgres.execute(f'ALTER DATABASE "{database}" CONNECTION LIMIT 0')
    error = await asyncpg_error(neon.url(database))
    assert getattr(error, "sqlstate", None) == "XX000"
    assert str(error) == f'too many connections for database "{database}"'


# Sleep


def test_suspending_says_goodbye_to_direct_clients_only(sleepy_neon: NeonProxy) -> None:
    """A direct client meets 57P01, a pooled one the bare end of its connection."""
    with psycopg.connect(sleepy_neon.url()) as direct, psycopg.connect(sleepy_neon.url(pooled=True)) as pooled:
        sleepy_neon.suspend()
        with pytest.raises(psycopg.errors.AdminShutdown):
            direct.execute("SELECT 1")
        with pytest.raises(psycopg.OperationalError, match="closed unexpectedly") as lost:
            pooled.execute("SELECT 1")
        assert lost.value.sqlstate is None


@BOTH
def test_the_next_connection_wakes_it(sleepy_neon: NeonProxy, monkeypatch: pytest.MonkeyPatch, *, pooled: bool) -> None:
    """It is accepted, then nothing is said until the compute is up, then it works."""
    monkeypatch.setattr(sleepy_neon, "waking_takes", 0.3)
    sleepy_neon.suspend()
    wakes, began = sleepy_neon.wakes, time.monotonic()
    assert ask(sleepy_neon.url(pooled=pooled)) == 1
    assert time.monotonic() - began > 0.3
    assert sleepy_neon.wakes == wakes + 1


def test_those_who_come_together_wake_it_once(sleepy_neon: NeonProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them wait for the same compute."""
    monkeypatch.setattr(sleepy_neon, "waking_takes", 0.1)
    sleepy_neon.suspend()
    wakes = sleepy_neon.wakes
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(ask, [sleepy_neon.url()] * 8)) == [1] * 8
    assert sleepy_neon.wakes == wakes + 1


def test_who_is_not_let_in_does_not_wake_it(sleepy_neon: NeonProxy) -> None:
    """A wrong password and a quota leave it asleep."""
    sleepy_neon.suspend()
    wakes = sleepy_neon.wakes
    refusal(sleepy_neon.url(password="wrong"))
    with sleepy_neon.refusing(rules.QUOTA):
        refusal(sleepy_neon.url())
    assert (sleepy_neon.asleep, sleepy_neon.wakes, sleepy_neon.postgres.running) == (True, wakes, False)


def test_a_compute_that_is_gone_has_a_text_of_its_own(sleepy_neon: NeonProxy) -> None:
    """The proxy is there, what is behind it is not."""
    ask(sleepy_neon.url())
    sleepy_neon.postgres.stop()
    try:
        assert refusal(sleepy_neon.url()) == f"ERROR:  {rules.NO_COMPUTE}"
    finally:
        sleepy_neon.postgres.start()


def test_traffic_is_counted(neon: NeonProxy) -> None:
    """A test can say that nothing was sent, or what a question cost."""
    with psycopg.connect(neon.url()) as connection:
        accepted, received, sent = neon.accepted, neon.received, neon.sent
        connection.execute("SELECT repeat('x', 1000)")
        assert (neon.accepted, neon.received > received, neon.sent > sent + 1000) == (accepted, True, True)
