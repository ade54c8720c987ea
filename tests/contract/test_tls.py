"""What TLS promises: who cannot be trusted is refused before a password is sent, and the channel is the server's."""

import datetime as dt
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from onetrip import errors
from tests.contract.face import Face
from tests.contract.targets import DEFAULT, VERIFIED
from tests.harness import binaries
from tests.harness.certificates import Authority
from tests.harness.postgres import Postgres

Open = Callable[..., Face]
ONE = text("SELECT 1")
only_tls = pytest.mark.parametrize("target", [VERIFIED], indirect=True, ids=str)
only_plaintext = pytest.mark.parametrize("target", [DEFAULT], indirect=True, ids=str)


@pytest.fixture(scope="module")
def changing() -> Iterator[Postgres]:
    """Serve TLS with certificates that tests change."""
    server = Postgres(binaries.debian(), tls=True)
    try:
        server.start()
        yield server
    finally:
        server.stop()
        server.remove()


async def refusal(db: Face) -> errors.TlsRefused:
    """Return the error of a connection that is not made."""
    with pytest.raises(errors.TlsRefused) as caught:
        await db.fetch_value(ONE)
    assert (caught.value.retry, db.stats().opened) == (errors.Retry.NO, 0)
    return caught.value


@only_tls
async def test_the_channel_is_the_servers(open_face: Open, url: str) -> None:
    """With ``channel_binding=require`` libpq takes nothing but SCRAM-SHA-256-PLUS; asyncpg verifies instead."""
    assert "channel_binding=require" in url
    db = open_face()
    assert await db.fetch_value(text("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")) is True


@only_plaintext
async def test_a_channel_that_cannot_be_bound_is_refused(open_face: Open, url: str) -> None:
    """``channel_binding=require`` without TLS: not even a correct password is sent."""
    await refusal(open_face(database_url=f"{url}?channel_binding=require"))


@only_plaintext
@pytest.mark.parametrize("sslmode", ["require", "verify-full"])
async def test_a_server_without_tls_is_refused(open_face: Open, url: str, sslmode: str) -> None:
    """Nothing falls back to plaintext."""
    await refusal(open_face(database_url=f"{url}?sslmode={sslmode}"))


@only_tls
async def test_plaintext_is_refused_by_a_server_with_tls(open_face: Open, door: Postgres, database: str) -> None:
    """A server that wants TLS says so, and it is not a wrong password."""
    await refusal(open_face(database_url=door.url(database, sslmode="disable")))


@only_tls
async def test_a_strangers_certificate_is_refused(
    open_face: Open, url_of: Callable[..., str], database: str, tmp_path: Path
) -> None:
    """An authority that the client does not know proves nothing."""
    stranger = tmp_path / "ca.crt"
    stranger.write_bytes(Authority("stranger").certificate)
    await refusal(open_face(database_url=url_of(database, sslrootcert=stranger)))


@only_tls
async def test_without_an_authority_of_its_own_a_client_refuses(open_face: Open, door: Postgres, database: str) -> None:
    """``verify-full`` alone means the public authorities, on every driver, and they did not sign this one."""
    await refusal(open_face(database_url=door.url(database, sslmode="verify-full")))


@only_tls
@pytest.mark.parametrize(
    ("hosts", "lasts"),
    [
        pytest.param(["localhost", "127.0.0.1"], dt.timedelta(hours=-1), id="expired"),
        pytest.param(["another.example"], dt.timedelta(days=1), id="of another host"),
    ],
)
async def test_a_certificate_that_does_not_hold_is_refused(
    open_face: Open, changing: Postgres, hosts: list[str], lasts: dt.timedelta
) -> None:
    """Signed by the right authority, and still not for this host, or not for today."""
    assert changing.authority
    changing.show(changing.authority.issue(*hosts, lasts=lasts))
    found = await refusal(open_face(database_url=changing.url(sslmode="verify-full", sslrootcert=changing.ca_file)))
    assert "certificate" in str(found)
    changing.show(changing.authority.issue("localhost", "127.0.0.1"))
    db = open_face(database_url=changing.url(sslmode="verify-full", sslrootcert=changing.ca_file))
    assert await db.fetch_value(ONE) == 1
