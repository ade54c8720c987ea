"""A connection of ours and one of psycopg2's own, side by side: whoever takes a raw connection sees no difference."""

from collections.abc import Iterator
from typing import Any

import psycopg2
import pytest
from psycopg2 import extensions, sql
from sqlalchemy import create_engine, text

from onetrip._engine.dialects.psycopg2_connection import TripConnection, tripping
from tests.contract.psycopg2_works import WORKS, Work
from tests.contract.targets import DEFAULT, Target
from tests.harness import binaries
from tests.harness.postgres import Postgres


@pytest.fixture
def target() -> Target:
    """Ask one server: both connections are on the same way."""
    return DEFAULT


@pytest.fixture
def pair(url: str) -> Iterator[list[Any]]:
    """Open one connection of each kind: psycopg2's first, then ours."""
    pair = [psycopg2.connect(url), psycopg2.connect(url, connection_factory=TripConnection)]
    yield pair
    for connection in pair:
        connection.close()


def seen(connection: Any, work: Work) -> object:
    """Return all that a user sees of some work: what it gives or raises, and how it leaves the connection."""
    try:
        given = work(connection)
    except (psycopg2.Error, ValueError, TypeError, IndexError) as error:
        given = type(error), str(error), getattr(error, "pgcode", None), getattr(error, "pgerror", None)
    status = connection.status, connection.get_transaction_status(), connection.info.transaction_status
    return given, status if not connection.closed else None, list(connection.notices)


def answer(*asked: Any) -> Work:
    """Execute, and return everything that a cursor says of it."""

    def work(connection: Any) -> object:
        with connection.cursor() as cursor:
            cursor.execute(*asked)
            rows = cursor.fetchall() if cursor.description else None
            return rows, cursor.rowcount, cursor.description, cursor.statusmessage, cursor.query, cursor.rownumber

    return work


@pytest.mark.parametrize(
    "asked",
    [
        ("SELECT 1 AS one, 'two' AS two",),
        ("SELECT 1 WHERE false",),
        ("SELECT '%', 10 % 3",),
        ("SELECT '%%', %s", ("5 % of ;",)),
        ("SELECT '%%'", ()),
        ("SELECT %(a)s, %(b)s", {"a": "it's", "b": None}),
        (b"SELECT %s", ["bytes"]),
        (sql.SQL("SELECT {}").format(sql.Literal("composed")),),
        ("SELECT 1; SELECT 2, 3;",),
        ("-- a remark\nSELECT 1 /* and ; another */",),
        ("CREATE TEMPORARY TABLE here (n int)",),
        ("SELECT \N{EURO SIGN}",),
        ("",),
        ("  ",),
        (";",),
        ("-- nothing",),
        ("SELECT %s",),
        ("SELECT %s", (1, 2)),
        ("SELECT %s", (object(),)),
        ("SELECT %s", ("\0",)),
        ("SELEC 1",),
        ("SELECT\n  nope",),
        ("SELECT 1 /\n 0",),
        ("SELECT 1; SELECT nope",),
    ],
    ids=str,
)
def test_the_answer_is_the_statements(pair: list[Any], asked: tuple[Any, ...]) -> None:
    """Rows, counts, descriptions and messages are those of the user's text, errors count its own lines."""
    stock, ours = (
        [
            seen(connection, answer(*asked)),
            seen(connection, answer("SELECT 1")),
            seen(connection, lambda it: it.commit()),
        ]
        for connection in pair
    )
    assert ours == stock


@pytest.mark.parametrize("before", ["nothing", "rollback", "statement"])
@pytest.mark.parametrize("work", WORKS.values(), ids=WORKS)
def test_psycopg2s_own_ways_keep_working(pair: list[Any], work: Work, before: str) -> None:
    """Alone, behind a ROLLBACK that is owed, and inside a transaction: the same is seen."""
    for connection in pair:
        if before != "nothing":
            connection.cursor().execute("SELECT 1")
        if before == "rollback":
            connection.rollback()
    stock, ours = (seen(connection, work) for connection in pair)
    assert ours == stock


def test_two_phases() -> None:
    """A transaction is prepared, recovered and finished as psycopg2 does it, and the next one is ours again."""
    server = Postgres(binaries.embedded(), max_prepared_transactions=5)
    server.start()
    try:
        assert _two_phases(server.url(), TripConnection) == _two_phases(server.url(), extensions.connection)
    finally:
        server.stop()
        server.remove()


def _two_phases(url: str, kind: type) -> object:
    connection, given = psycopg2.connect(url, connection_factory=kind), []
    cursor = connection.cursor()
    cursor.execute("CREATE TEMPORARY SEQUENCE numbers")
    connection.rollback()
    connection.set_session(isolation_level="SERIALIZABLE")
    connection.tpc_begin("one")
    cursor.execute("CREATE TABLE two_phases AS SELECT current_setting('transaction_isolation') AS level")
    for work in (connection.commit, connection.rollback, lambda: connection.tpc_begin("again"),
                 lambda: connection.tpc_commit("one")):  # fmt: skip
        with pytest.raises(psycopg2.ProgrammingError) as refused:
            work()
        given.append(str(refused.value))
    connection.tpc_prepare()
    given.append(connection.status)
    connection.tpc_rollback()
    connection.tpc_begin("two")
    cursor.execute("CREATE TABLE two_phases AS SELECT current_setting('transaction_isolation') AS level")
    connection.tpc_prepare()
    connection.close()
    connection = psycopg2.connect(url, connection_factory=kind)
    given.append([xid.gtrid for xid in connection.tpc_recover()])
    connection.tpc_commit("two")
    cursor = connection.cursor()
    cursor.execute("SELECT level FROM two_phases")
    given += [cursor.fetchall(), connection.status]
    cursor.execute("DROP TABLE two_phases")
    connection.commit()
    given.append((connection.status, connection.info.transaction_status))
    connection.close()
    return given


def test_rows_are_streamed_from_the_server(url: str) -> None:
    """SQLAlchemy's cursors on the server, as the first statement and as a later one."""
    engine = create_engine(url.replace("postgresql:", "postgresql+onetrip_psycopg2:"))
    try:
        for earlier in (False, True):
            with engine.connect().execution_options(yield_per=10) as connection:
                if earlier:
                    connection.execute(text("SELECT 1")).all()
                assert sum(connection.execute(text("SELECT n FROM generate_series(1, 100) n")).scalars()) == 5050
    finally:
        engine.dispose()


def test_a_connection_class_of_ones_own(url: str) -> None:
    """It is kept, with our transactions below it."""

    class Counting(extensions.connection):
        commits = 0

        def commit(self) -> None:
            self.commits += 1
            super().commit()

    connection = psycopg2.connect(url, connection_factory=tripping(Counting))
    try:
        connection.cursor().execute("SELECT 1")
        connection.commit()
        assert (connection.commits, isinstance(connection, TripConnection)) == (1, True)
    finally:
        connection.close()
