"""Users, passwords, databases and settings with odd names, in a URL: the server gets what was meant."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from psycopg import sql
from sqlalchemy import text

from onetrip import errors
from onetrip._core.url import parse_url
from tests.contract.attack.arena import PAYLOADS, characters, fragments
from tests.contract.attack.doors import attacks
from tests.contract.face import Face
from tests.harness.postgres import Postgres

WHO = text("SELECT session_user::text, current_database()::text, current_setting('application_name')")

odd = st.one_of(st.text(characters, min_size=1), st.lists(fragments, min_size=1, max_size=9).map("".join))
# A name is at most 63 bytes; "pg_…" and two words belong to PostgreSQL.
names = odd.filter(lambda name: len(name.encode()) < 60).map("x".__add__)
# A comma in a name is what asyncpg cannot write: refused before anybody logs in.
short = [payload for payload in PAYLOADS if 0 < len(payload.encode()) < 60 and "," not in payload]


@contextmanager
def login(postgres: Postgres, user: str, password: str) -> Iterator[None]:
    """Lend a role that may log in with a password."""
    name = sql.Identifier(user)
    with postgres.connect() as admin:
        admin.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(name, sql.Literal(password)))
        try:
            yield
        finally:
            admin.execute(sql.SQL("DROP ROLE {}").format(name))


def url_for(postgres: Postgres, user: str, password: str, database: str, **params: str) -> str:
    """Write the URL as a careful user would: escaped by the rules."""
    plain = parse_url(postgres.url())
    return replace(plain, user=user, password=password, database=database, params=MappingProxyType(params)).render()


async def who(open_face: Callable[..., Face], url: str) -> Any:
    """Log in and ask the server who it is."""
    db = open_face(database_url=url, pool_max=1)
    try:
        return await db.fetch_one(WHO)
    finally:
        await db.close()


async def logs_in(open_face: Callable[..., Face], postgres: Postgres, user: str, password: str) -> None:
    """Check that the server knows who it is, or that the one thing that asyncpg cannot write is named."""
    url = url_for(postgres, user, password, "app")
    with login(postgres, user, password):
        if "," in user and open_face().settings.driver == "asyncpg":
            with pytest.raises(errors.ConfigurationError, match="comma"):
                open_face(database_url=url)
        else:
            assert (await who(open_face, url))[0] == user


@attacks(2)
@given(user=names, password=odd)
@example(user="it's; \\\"%'", password="'; DROP ROLE app; --")
@example(user="a@b:c/d?e#f&g,h=i", password="@:/?#[]&=+,;= %25 \\' \"")
async def test_an_odd_user_logs_in(
    open_face: Callable[..., Face], postgres: Postgres, user: str, password: str
) -> None:
    """Whatever characters name and password have, escaped in a URL they mean the same to server and driver."""
    await logs_in(open_face, postgres, user, password)


@pytest.mark.slow
@attacks(100)
@given(user=names, password=odd)
async def test_many_odd_users_log_in(
    open_face: Callable[..., Face], postgres: Postgres, user: str, password: str
) -> None:
    """The same, longer."""
    await logs_in(open_face, postgres, user, password)


@attacks(2)
@given(user=st.sampled_from(short), password=odd)
async def test_a_wrong_password_is_not_repeated(
    open_face: Callable[..., Face], postgres: Postgres, user: str, password: str
) -> None:
    """A refusal of the server names no password, neither in our error nor in its cause."""
    secret = "qZ7-secret" + password
    with pytest.raises(errors.AuthenticationFailed) as caught:
        await who(open_face, url_for(postgres, "x" + user, secret, "app"))
    assert "qZ7-secret" not in f"{caught.value!r} {caught.value} {caught.value.__cause__!r}"


async def test_an_odd_database_is_found(open_face: Callable[..., Face], postgres: Postgres) -> None:
    """A database's name may hold anything, too."""
    name = 'odd\'; "db" %s \\ é漢 @:/?#'
    app = parse_url(postgres.url())
    with postgres.lent_database(name):
        assert (await who(open_face, url_for(postgres, "app", app.password or "", name)))[1] == name


@attacks(2)
@given(name=st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=63))
@example(name="'; DROP TABLE canary; --")
@example(name="a b\\' %")
async def test_a_name_for_the_connection_arrives(open_face: Callable[..., Face], url: str, name: str) -> None:
    """``application_name`` is text, not a piece of ``options``."""
    given_url = parse_url(url).with_params(application_name=name).render()
    assert (await who(open_face, given_url))[2] == name


@pytest.mark.parametrize("options", ["-c app.x=it's\\ it", "-capp.x=it's\\ it", "--app.x=it's\\ it\\"])
async def test_options_keep_their_meaning_beside_ours(open_face: Callable[..., Face], url: str, options: str) -> None:
    """The time-outs that we add change nothing of what stands in the URL."""
    db = open_face(database_url=parse_url(url).with_params(options=options).render())
    assert await db.fetch_value(text("SELECT current_setting('app.x')")) == "it's it"
    assert await db.fetch_value(text("SELECT current_setting('statement_timeout')")) == "30s"


@pytest.mark.parametrize("options", ["-c statement_timeout=7s", "--statement-timeout=7s", "-cstatement_timeout=7s"])
async def test_a_time_out_in_the_url_wins(open_face: Callable[..., Face], url: str, options: str) -> None:
    """However it is written."""
    db = open_face(database_url=parse_url(url).with_params(options=options).render())
    assert await db.fetch_value(text("SELECT current_setting('statement_timeout')")) == "7s"


@attacks(4)
@given(seconds=st.floats(min_value=1, allow_nan=False, allow_infinity=False))
@example(seconds=1e300)
@example(seconds=0)
async def test_any_time_out_of_the_settings_arrives(open_face: Callable[..., Face], url: str, seconds: float) -> None:
    """Too long is the longest there is, and 0 is without limit."""
    db = open_face(database_url=url, idle_in_transaction_timeout=seconds)
    shown = text("SELECT setting::int FROM pg_settings WHERE name = 'idle_in_transaction_session_timeout'")
    assert await db.fetch_value(shown) == round(min(seconds, 2_147_483) * 1000)
    await db.close()
