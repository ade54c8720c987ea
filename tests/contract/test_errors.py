"""The same failure is the same class on every driver, sync and async, with the driver's own exception as cause."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import make_url, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from onetrip import deadline, errors
from onetrip.errors import Phase, Retry
from tests.contract.face import Face
from tests.contract.targets import Door, pooler_behind
from tests.harness.postgres import Postgres
from tests.harness.process import free_port

Open = Callable[..., Face]
ONE = text("SELECT 1")


async def failure(db: Face, statement: str = "SELECT 1") -> errors.DatabaseError:
    """Return the error that a statement ends with."""
    with pytest.raises(errors.DatabaseError) as caught:
        await db.execute(text(statement))
    found = caught.value
    assert found.__cause__ is not None
    assert not isinstance(found.__cause__, DBAPIError), "the driver's own exception is the cause, not SQLAlchemy's"
    assert type(found.__cause__).__module__.split(".")[0] in {"psycopg", "psycopg2", "asyncpg", "builtins", "socket"}
    return found


def changed(url: str, **parts: object) -> str:
    """Return the URL with another host, port, username, password or database."""
    return make_url(url).set(**parts).render_as_string(hide_password=False)


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"database": "no_such_database"}, errors.DatabaseMissing),
        ({"username": "no_such_role"}, errors.AuthenticationFailed),
    ],
    ids=["unknown database", "unknown role"],
)
async def test_connect_failures(
    open_face: Open, url: str, change: dict[str, str], kind: type[errors.DatabaseError]
) -> None:
    """What happens before the first query is told apart, also where the driver gives no SQLSTATE."""
    db = open_face(database_url=changed(url, **change))
    found = await failure(db)
    assert type(found) is kind
    assert found.phase is Phase.CONNECT
    assert db.stats().in_use == 0
    again = await failure(db)
    assert type(again) is kind, "a second try fails in the same way"


async def test_an_unknown_host(open_face: Open, url: str) -> None:
    """A name that nobody knows is told from a server that does not answer."""
    found = await failure(open_face(database_url=changed(url, host="host.invalid")))
    assert (type(found), found.phase) == (errors.HostUnknown, Phase.CONNECT)


async def test_refused(open_face: Open, url: str) -> None:
    """A port where nobody listens is unreachable; a later try may succeed."""
    found = await failure(open_face(database_url=changed(url, port=free_port())))
    assert (type(found), found.retry, found.http_status) == (errors.DatabaseUnreachable, Retry.LATER, 503)


async def test_a_socket_that_is_not_there(open_face: Open, tmp_path: Path) -> None:
    """A missing Unix socket is unreachable too."""
    found = await failure(open_face(database_url=f"postgresql://app@/app?host={tmp_path}"))
    assert type(found) is errors.DatabaseUnreachable


async def test_wrong_password(open_face: Open, url: str) -> None:
    """A wrong password is final, and is not repeated in any message."""
    found = await failure(open_face(database_url=changed(url, password="sesame-4711")))
    assert (type(found), found.retry) == (errors.AuthenticationFailed, Retry.NO)
    assert "sesame" not in repr(found) + str(found) + str(found.__cause__)


async def test_a_deaf_host(open_face: Open, url: str) -> None:
    """A port that accepts and stays silent ends at the connect time-out."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as deaf:
        db = open_face(database_url=changed(url, port=deaf.getsockname()[1]), connect_timeout=2, pool_max=1)
        found = await failure(db)
    assert (type(found), found.phase) == (errors.ConnectTimeout, Phase.CONNECT)


async def test_a_deaf_host_within_a_deadline(open_face: Open, url: str) -> None:
    """The deadline bounds connecting, too, to the second: a request does not wait for the connect time-out."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as deaf:
        db = open_face(database_url=changed(url, port=deaf.getsockname()[1]), connect_timeout=60)
        began = time.monotonic()
        with deadline(0.5):
            found = await failure(db)
    assert (type(found), found.phase) == (errors.DeadlineExceeded, Phase.CONNECT)
    assert time.monotonic() - began < 30


async def test_too_many_connections(open_face: Open, server: Postgres, door: Door, url_of: Callable[..., str]) -> None:
    """A role, database or server without a free slot says so."""
    with server.lent_database() as name:
        server.execute(f"ALTER DATABASE {name} CONNECTION LIMIT 0")
        found = await failure(open_face(database_url=url_of(name)))
        assert (type(found), found.retry) == (errors.TooManyConnections, Retry.LATER)
        if pooler := pooler_behind(door):
            pooler.free(name)


async def test_killed_backend(db: Face) -> None:
    """A connection that dies in the middle of a transaction is lost; the pool is whole again at the next use."""
    with pytest.raises(errors.ConnectionLost) as caught:
        async with db.transaction() as session:
            await session.exec(ONE)
            await session.exec(text("SELECT pg_terminate_backend(pg_backend_pid())"))
    assert caught.value.retry is Retry.YES
    assert await db.fetch_value(ONE) == 1
    assert db.stats().in_use == 0
    assert db.stats().discarded == {"lost": 1}


async def test_killed_while_idle_in_a_transaction(db: Face, server: Postgres, database: str) -> None:
    """Also between two statements."""
    with pytest.raises(errors.ConnectionLost):
        async with db.transaction() as session:
            await session.exec(ONE)
            server.terminate_backends(database)
            await session.exec(ONE)
    assert await db.fetch_value(ONE) == 1


async def test_killed_before_commit_is_unknown(db: Face, server: Postgres, database: str) -> None:
    """A COMMIT that got no answer is neither a success nor a failure."""
    with pytest.raises(errors.CommitUnknown) as caught:
        async with db.transaction() as session:
            await session.exec(text("INSERT INTO account (name) VALUES ('ann')"))
            server.terminate_backends(database)
    assert (caught.value.phase, caught.value.retry) == (Phase.COMMIT, Retry.UNKNOWN)
    assert db.stats().in_use == 0


@pytest.mark.parametrize(
    ("statement", "kind", "state"),
    [
        ("INSERT INTO account (name) VALUES ('a'), ('a')", errors.UniqueViolation, "23505"),
        ("INSERT INTO account (name) VALUES (NULL)", errors.NotNullViolation, "23502"),
        ("INSERT INTO account (name, balance) VALUES ('a', -1)", errors.CheckViolation, "23514"),
        ("INSERT INTO child VALUES (7)", errors.ForeignKeyViolation, "23503"),
        ("INSERT INTO booking VALUES ('[1,5)'), ('[3,7)')", errors.ExclusionViolation, "23P01"),
        ("SELECT 1/0", errors.InvalidData, "22012"),
        ("SELECT 'x'::int", errors.InvalidData, "22P02"),
        ("SELECT * FROM no_such_table", errors.InvalidStatement, "42P01"),
        ("SELEC 1", errors.InvalidStatement, "42601"),
        ("SELECT pg_read_file('/etc/passwd')", errors.PermissionDenied, "42501"),
        ("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '40001'; END $$", errors.SerializationFailure, "40001"),
        ("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '40P01'; END $$", errors.DeadlockDetected, "40P01"),
        ("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '55P03'; END $$", errors.LockTimeout, "55P03"),
        ("DO $$ BEGIN RAISE EXCEPTION 'own words'; END $$", errors.DatabaseError, "P0001"),
    ],
    ids=lambda value: value if isinstance(value, str) and len(value) == 5 else "",
)
async def test_statement_failures(db: Face, statement: str, kind: type[errors.DatabaseError], state: str) -> None:
    """The class says what happened, the SQLSTATE is the server's."""
    await db.execute(text("CREATE TABLE child (account int REFERENCES account)"))
    await db.execute(text("CREATE TABLE booking (nights int4range, EXCLUDE USING gist (nights WITH &&))"))
    found = await failure(db, statement)
    assert (type(found), found.sqlstate, found.phase) == (kind, state, Phase.STATEMENT)
    assert await db.fetch_value(ONE) == 1


async def test_inside_the_block_the_errors_are_sqlalchemys(db: Face) -> None:
    """Code that catches ``IntegrityError`` around a flush keeps working."""
    async with db.transaction() as session:
        with pytest.raises(IntegrityError):
            await session.exec(text("INSERT INTO account (name) VALUES (NULL)"))
        await session.rollback()


async def test_the_constraint_is_named(db: Face) -> None:
    """An application can tell one constraint from another."""
    found = await failure(db, "INSERT INTO account (name) VALUES ('a'), ('a')")
    assert found.constraint == "account_name"
