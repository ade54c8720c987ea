"""A connection to Neon, direct and pooled, by the URL that its console shows."""

from collections.abc import Callable

import psycopg
import pytest
from sqlalchemy import text

from onetrip import errors
from tests.contract.face import Face
from tests.harness.neon import NeonProxy
from tests.harness.postgres import APP
from tests.harness.wait import until_async

Open = Callable[..., Face]
BOTH = pytest.mark.parametrize("pooled", [False, True], ids=["direct", "pooled"])
PID = text("SELECT pg_backend_pid()")
LIMITS = text("SELECT current_setting('statement_timeout'), current_setting('idle_in_transaction_session_timeout')")


@BOTH
async def test_the_provider_s_url_works_verbatim(open_neon: Open, neon: NeonProxy, *, pooled: bool) -> None:
    """With sslmode=require and channel_binding=require, whatever the driver."""
    url = neon.url(pooled=pooled)
    assert url.endswith("?sslmode=require&channel_binding=require")
    assert await open_neon(url).fetch_value(text("SELECT current_user")) == APP


@BOTH
@pytest.mark.parametrize(
    "query", ["", "?sslmode=verify-full&sslrootcert=system", "?sslnegotiation=direct&sslmode=require"]
)
async def test_so_do_its_other_forms(open_neon: Open, neon: NeonProxy, query: str, *, pooled: bool) -> None:
    """Without parameters (which is verified), verified in so many words, and with TLS from the first byte."""
    url = neon.url(pooled=pooled).partition("?")[0].replace("postgresql://", "postgres://")
    assert await open_neon(url + query).fetch_value(text("SELECT 1")) == 1


@BOTH
async def test_limits_hold_although_start_up_parameters_vanish(
    open_neon: Open, neon: NeonProxy, *, pooled: bool
) -> None:
    """They travel as options to the compute, and with each transaction through the pooler."""
    db = open_neon(neon.url(pooled=pooled), statement_timeout=0.2, idle_in_transaction_timeout=7)
    async with db.transaction() as session:
        assert tuple((await session.exec(LIMITS)).one()) == ("200ms", "7s")
    with pytest.raises(errors.StatementTimeout):
        await db.fetch_value(text("SELECT pg_sleep(10)"))


async def test_options_of_the_url_stay_beside_ours(open_neon: Open, neon: NeonProxy) -> None:
    """A search_path in the URL of a direct connection holds, and so do the limits."""
    db = open_neon(neon.url(options="-c search_path=mine"), statement_timeout=5)
    row = await db.fetch_one(text("SELECT current_setting('search_path'), current_setting('statement_timeout')"))
    assert tuple(row) == ("mine", "5s")


async def test_nothing_of_a_tenant_stays_on_a_pooled_connection(open_neon: Open, neon: NeonProxy) -> None:
    """The next client of the same server process sees neither its settings nor its limits nor its role."""
    db = open_neon(neon.url(pooled=True), statement_timeout=5)
    async with db.transaction(local={"app.user_id": "42"}, role=APP) as session:
        seen = text(
            "SELECT pg_backend_pid(), current_setting('app.user_id'), current_setting('statement_timeout'),"
            " current_setting('role')"
        )
        backend, *inside = (await session.exec(seen)).one()
        assert tuple(inside) == ("42", "5s", APP)
    with psycopg.connect(neon.url(pooled=True)) as other:
        found = other.execute(
            "SELECT pg_backend_pid(), current_setting('app.user_id', true), current_setting('statement_timeout'),"
            " current_setting('role')"
        ).fetchone()
    assert found
    assert found[0] == backend
    assert found[1] in {None, ""}
    assert found[2:] == ("0", "none")


async def test_pooled_statements_survive_a_change_of_server_process(open_neon: Open, neon: NeonProxy) -> None:
    """A statement used often enough to be prepared works on a server process that never saw it."""
    db = open_neon(neon.url(pooled=True))
    backends = set()
    for _ in range(3):
        for number in range(8):
            assert await db.fetch_value(text("SELECT :n + 1"), {"n": number}) == number + 1
        backends.add(await db.fetch_value(PID))
        assert neon.pgbouncer
        neon.pgbouncer.admin("RECONNECT")
        # The process changes when nobody is in a transaction: what only has to be rolled back may last 5 ms.
        await until_async(lambda: not neon.pgbouncer.admin("SHOW SERVERS"))
    assert len(backends) == 3
