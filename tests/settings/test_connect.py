"""What a profile says is what a server sees: on every driver, directly, through PgBouncer, and over TLS."""

from typing import Any

import asyncpg
import psycopg
import psycopg2
import pytest

from onetrip._core.profile import DRIVERS, connect_profile
from onetrip._core.url import DatabaseUrl, parse_url
from onetrip._engine.tls import ca_bundle, ssl_argument
from tests.harness.postgres import Postgres

pytestmark = pytest.mark.parametrize("driver", DRIVERS)


async def ask(url: DatabaseUrl, driver: str, *settings: str, **options: Any) -> list[str]:
    """Connect as the profile says, and ask the server for its settings."""
    profile = connect_profile(url, driver, ca_bundle=ca_bundle, connect_timeout=5, application_name="ours", **options)
    query = "SELECT " + ", ".join(f"current_setting('{name}')" for name in settings)
    if driver == "asyncpg":
        connection = await asyncpg.connect(**profile.arguments, ssl=ssl_argument(profile.tls, profile.tls_files))
        try:
            return list(await connection.fetchrow(query))
        finally:
            await connection.close()
    connect: Any = {"psycopg": psycopg, "psycopg2": psycopg2}[driver].connect
    session = connect(**profile.arguments)
    try:
        cursor = session.cursor()
        cursor.execute(query)
        return list(cursor.fetchone())
    finally:
        session.close()


async def test_parameters_of_the_url_reach_the_server(database_url: str, driver: str) -> None:
    """``application_name`` and ``options`` mean the same whoever connects."""
    url = parse_url(database_url).with_params(application_name="mine", options="-c search_path=x -c work_mem=4321kB")
    assert await ask(url, driver, "application_name", "search_path", "work_mem") == ["mine", "x", "4321kB"]


async def test_our_name_is_there_where_the_url_has_none(database_url: str, driver: str) -> None:
    """A connection can be told apart in pg_stat_activity."""
    assert await ask(parse_url(database_url), driver, "application_name") == ["ours"]


async def test_the_same_url_works_through_pgbouncer(pooled_url: str, driver: str) -> None:
    """Nothing that a transaction pooler refuses is sent."""
    url = parse_url(pooled_url).with_params(pgbouncer="true", application_name="mine")
    assert await ask(url, driver, "application_name") == ["mine"]


async def test_verify_full_holds_with_the_authoritys_certificate(postgres15_tls: Postgres, driver: str) -> None:
    """A server whose certificate the named file signed is trusted."""
    url = parse_url(postgres15_tls.url()).with_params(sslmode="verify-full", sslrootcert=str(postgres15_tls.ca_file))
    assert await ask(url, driver, "application_name") == ["ours"]


@pytest.mark.parametrize("mode", ["verify-ca", "verify-full"])
async def test_verification_refuses_a_stranger(postgres15_tls: Postgres, driver: str, mode: str) -> None:
    """A server whose certificate nobody known signed is refused, by every driver."""
    url = parse_url(postgres15_tls.url()).with_params(sslmode=mode, sslrootcert=None)
    with pytest.raises((OSError, psycopg.OperationalError, psycopg2.OperationalError), match=r"(?i)certificate"):
        await ask(url, driver, "application_name")


async def test_channel_binding_is_enough_for_verification_in_asyncpg(postgres15_tls: Postgres, driver: str) -> None:
    """Where libpq binds the channel to an unknown certificate, asyncpg refuses the certificate."""
    url = parse_url(postgres15_tls.url()).with_params(sslmode="require", sslrootcert=None, channel_binding="require")
    if driver == "asyncpg":
        with pytest.raises(OSError, match="certificate"):
            await ask(url, driver, "application_name")
    else:
        assert await ask(url, driver, "application_name") == ["ours"]
