"""What leaves for the server, and when, under ``postgresql+onetrip_psycopg2``: the server's own log is the witness."""

import io
import random
import re
import time
from collections.abc import Callable, Iterator

import psycopg2
import pytest
from sqlalchemy import Engine, create_engine, insert, text
from sqlmodel import select

from onetrip import Database, Settings, errors
from onetrip._engine.dialects.psycopg2_connection import TripConnection
from onetrip._engine.dialects.psycopg2_driven import without_block
from tests.contract.models import Account
from tests.contract.targets import DEFAULT, Target
from tests.harness.postgres import Postgres
from tests.harness.wait import until

Heard = Callable[[], list[str]]
IDLE, INTRANS, INERROR = 0, 2, 3


@pytest.fixture
def target() -> Target:
    """Ask one server: what is sent does not depend on the way there."""
    return DEFAULT


@pytest.fixture
def heard(server: Postgres, database: str) -> Iterator[Heard]:
    """Return what the server was sent since the last call: one entry is one flight, and so one trip."""
    server.execute(f"ALTER DATABASE {database} SET log_statement = 'all'")
    entry = re.compile(rf"app@{database} .*? LOG:  statement: (.*(?:\n\t.*)*)")
    offset = len(server.log_text())

    def heard() -> list[str]:
        nonlocal offset
        said = server.log_text()[offset:]
        offset += len(said)
        return [found[1].replace("\n\t", "\n") for found in entry.finditer(said)]

    return heard


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    """Open an engine of plain SQLAlchemy over one connection."""
    engine = create_engine(url.replace("postgresql:", "postgresql+onetrip_psycopg2:"), pool_size=1, max_overflow=0)
    yield engine
    engine.dispose()


@pytest.fixture
def connection(url: str, heard: Heard) -> Iterator[TripConnection]:
    """Open one connection without SQLAlchemy, to a server that listens."""
    connection = psycopg2.connect(url, connection_factory=TripConnection)
    yield connection
    connection.close()


@pytest.fixture
def db(url: str) -> Iterator[Database]:
    """Open a database of one connection."""
    with Database(settings=Settings(database_url=url, tier="test", driver="psycopg2", pool_max=1)) as db:
        yield db


def without_debts(connection: TripConnection) -> None:
    """Wait until the janitor has been there."""
    until(lambda: not connection.trip.owes_rollback)


def test_a_new_engine_asks_nothing(engine: Engine, heard: Heard) -> None:
    """Up to the first row the server hears one text: the statement, and the BEGIN in front of it."""
    with engine.connect() as connection:
        assert connection.execute(text("SELECT 1")).scalar() == 1
        assert engine.dialect.server_version_info >= (15, 0)
        assert heard() == ["BEGIN;\nSELECT 1"]


def test_a_read_is_one_flight(db: Database, heard: Heard) -> None:
    """BEGIN, the settings and the ROLLBACK of the last user ride with the statement."""
    with db.read(local={"app.user": "ann"}) as session:
        session.exec(select(Account)).all()
    without_debts(session_connection(db))
    heard()
    for _ in range(2):
        with db.read(local={"app.user": "ann"}) as session:
            session.exec(select(Account)).all()
    first, second = (said for said in heard() if said != "ROLLBACK")
    assert first.startswith("BEGIN READ ONLY; SELECT pg_catalog.set_config(")
    assert second.removeprefix("ROLLBACK; ") == first


def session_connection(db: Database) -> TripConnection:
    """Return the one connection of a database's pool."""
    fairy = db.engine.raw_connection()
    try:
        return fairy.driver_connection
    finally:
        fairy.close()


def test_a_rollback_rides_or_leaves_soon(connection: TripConnection, heard: Heard) -> None:
    """``rollback()`` sends nothing; it goes with the next statement, or by itself if there is none."""
    cursor = connection.cursor()
    with connection.turn:  # the janitor cannot come in between
        cursor.execute("SELECT 1")
        connection.rollback()
        cursor.execute("SELECT 2")
    assert heard() == ["BEGIN;\nSELECT 1", "ROLLBACK; BEGIN;\nSELECT 2"]
    connection.rollback()
    assert connection.get_transaction_status() == connection.info.transaction_status == IDLE
    without_debts(connection)
    assert heard() == ["ROLLBACK"]


def test_a_commit_of_nothing_is_nothing(connection: TripConnection, heard: Heard) -> None:
    """Where no statement was sent there is nothing to commit."""
    connection.commit()
    connection.cursor().execute("SELECT 1")
    connection.commit()
    connection.commit()
    assert heard() == ["BEGIN;\nSELECT 1", "COMMIT"]


def test_closing_ends_the_transaction_first(connection: TripConnection, heard: Heard) -> None:
    """A pooler throws a server connection away when its client leaves inside a transaction."""
    connection.cursor().execute("SELECT 1")
    with connection.turn:
        connection.rollback()
        connection.close()
    assert heard()[-1] == "ROLLBACK"


def test_a_syntax_error_fails_the_transaction(connection: TripConnection, heard: Heard) -> None:
    """The server then ran nothing, not even BEGIN: until the rollback no statement reaches it, as under psycopg2."""
    cursor = connection.cursor()
    cursor.execute("CREATE TABLE kept (n int)")
    connection.commit()
    with pytest.raises(psycopg2.errors.SyntaxError):
        cursor.execute("INSRT INTO kept VALUES (1)")
    assert connection.info.transaction_status == INERROR
    assert connection.status == psycopg2.extensions.STATUS_BEGIN
    heard()
    for work in (lambda: cursor.execute("INSERT INTO kept VALUES (2)"), lambda: cursor.callproc("now"),
                 lambda: cursor.executemany("INSERT INTO kept VALUES (%s)", [(3,)]),
                 lambda: connection.cursor("named").execute("SELECT 1"), connection.lobject):  # fmt: skip
        with pytest.raises(psycopg2.errors.InFailedSqlTransaction, match="current transaction is aborted") as refused:
            work()
        assert refused.value.pgcode == "25P02"
    connection.commit()
    assert heard() == []
    cursor.execute("SELECT count(*) FROM kept")
    assert cursor.fetchone() == (0,)


def test_a_syntax_error_behind_a_rollback(connection: TripConnection) -> None:
    """Not even that ROLLBACK ran: the last user's transaction is still open, and ends with this one."""
    cursor = connection.cursor()
    cursor.execute("CREATE TABLE gone (n int)")
    with connection.turn:
        connection.rollback()
        with pytest.raises(psycopg2.errors.SyntaxError):
            cursor.execute("INSRT INTO gone VALUES (1)")
    assert connection.info.transaction_status == INERROR
    with pytest.raises(psycopg2.errors.InFailedSqlTransaction):
        cursor.execute("SELECT 1")
    connection.rollback()
    cursor.execute("SELECT to_regclass('gone')")
    assert cursor.fetchone() == (None,)


def test_a_failing_opening_is_an_error_of_its_own(connection: TripConnection) -> None:
    """What is wrong with a setting is said as it is, whether it rides or goes apart."""
    for work in ("execute", "callproc"):
        connection.trip.opening = ("BEGIN", "SELECT set_config('no such setting', '1', true)")
        with pytest.raises(psycopg2.errors.UndefinedObject, match="no such setting"):
            getattr(connection.cursor(), work)("now" if work == "callproc" else "SELECT 1")
        assert connection.info.transaction_status == INERROR
        connection.rollback()


def test_autocommit_rides_with_nothing(connection: TripConnection, heard: Heard) -> None:
    """VACUUM stands no company: what is owed goes apart."""
    cursor = connection.cursor()
    with connection.turn:
        cursor.execute("SELECT 1")
        connection.rollback()
        connection.autocommit = True
        cursor.execute("VACUUM")
    assert heard()[-2:] == ["ROLLBACK", "VACUUM"]
    assert connection.info.transaction_status == IDLE


def test_what_cannot_ride_goes_behind(connection: TripConnection, heard: Heard) -> None:
    """COPY, procedures, cursors on the server and many rows find their transaction opened."""
    cursor = connection.cursor()
    for work in (lambda: cursor.callproc("now"), lambda: cursor.executemany("SELECT %s", [(1,)]),
                 lambda: cursor.copy_expert("COPY (SELECT 1) TO STDOUT", io.StringIO()),
                 lambda: connection.cursor("named").execute("SELECT 1")):  # fmt: skip
        connection.trip.opening = ("BEGIN READ ONLY",)
        with connection.turn:
            work()
            assert connection.info.transaction_status == INTRANS
            connection.rollback()
        opening, _ = (said for said in heard() if said != "ROLLBACK")
        assert opening.removeprefix("ROLLBACK; ") == "BEGIN READ ONLY"


def test_fetch_and_execute_are_one_flight(db: Database, heard: Heard) -> None:
    """The query is a transaction of its own: settings hold, rows and row count come back, nothing follows."""
    assert db.fetch_value(text("SELECT current_setting('transaction_isolation')"), snapshot=True) == "repeatable read"
    assert db.fetch_value(text("SELECT current_setting('transaction_read_only')")) == "on"
    given = {"role": None, "local": {"app.user": "ann"}, "statement_timeout": 3.0, "isolation": "serializable"}
    done = db.execute(insert(Account).values(name="ann", balance=1).returning(Account.name), **given)
    assert (done.rowcount, done.all()) == (1, [("ann",)])
    assert db.execute(text("UPDATE account SET balance = 2")).rowcount == 1
    said = heard()
    assert len(said) == 4, said
    assert said[2].startswith("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE; SELECT pg_catalog.set_config(")
    assert said[3] == "SELECT;\nUPDATE account SET balance = 2"
    assert db.fetch_one(select(Account.name, Account.balance)) == ("ann", 2)


def test_a_failed_execute_is_undone(db: Database) -> None:
    """An error takes back what its query did, without a word from us."""
    with pytest.raises(errors.DatabaseError):
        db.execute(text("WITH one AS (INSERT INTO account (name) VALUES ('ann')) SELECT 1 / 0"))
    assert db.fetch_value(text("SELECT count(*) FROM account")) == 0


def test_execute_is_never_a_statement_alone(db: Database) -> None:
    """One that would commit by itself, or cannot be undone, is refused as in any transaction."""
    db.execute(text("CREATE PROCEDURE parts() LANGUAGE plpgsql AS 'BEGIN COMMIT; END'"))
    for statement in ("CALL parts()", "VACUUM"):
        with pytest.raises(errors.DatabaseError):
            db.execute(text(statement))


def test_text_of_several_statements_ends_apart(db: Database, heard: Heard) -> None:
    """Whoever brings a COMMIT or a savepoint of their own gets a transaction block, and ours at its end."""
    db.execute(text("INSERT INTO account (name) VALUES ('ann'); UPDATE account SET balance = 1"))
    first, second = heard()
    assert (first.partition(";")[0], second) == ("BEGIN", "COMMIT")
    db.execute(text("SAVEPOINT here"))
    assert [said.partition(";")[0] for said in heard()] == ["BEGIN", "COMMIT"]


@pytest.mark.parametrize(
    ("opening", "expected"),
    [
        (("BEGIN",), ("SELECT",)),
        (("BEGIN READ ONLY", "SELECT 1"), ("SET TRANSACTION READ ONLY", "SELECT 1")),
        (("BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY DEFERRABLE",),
         ("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE READ ONLY DEFERRABLE",)),
    ],
)  # fmt: skip
def test_the_same_opening_without_a_block(opening: tuple[str, ...], expected: tuple[str, ...]) -> None:
    """Modes stay, and something is always in front."""
    assert without_block(opening) == expected


def test_a_connection_lost_before_its_first_answer(engine: Engine, server: Postgres, database: str) -> None:
    """The transaction goes on on a fresh one, with its modes; nothing of it had happened."""
    with engine.connect() as connection:
        connection.execute(text("SELECT 1"))
    server.terminate_backends(database)
    with engine.connect().execution_options(isolation_level="SERIALIZABLE") as connection:
        assert connection.execute(text("SHOW transaction_isolation")).scalar() == "serializable"


@pytest.mark.parametrize("work", ["INSERT INTO account (name) VALUES ('ann'); COMMIT; SELECT 1", "autocommit"])
def test_what_may_have_happened_is_not_repeated(engine: Engine, server: Postgres, database: str, work: str) -> None:
    """Text that may hold a COMMIT, and autocommit, are not sent twice."""
    options = {"isolation_level": "AUTOCOMMIT"} if work == "autocommit" else {}
    with engine.connect() as connection:
        connection.execute(text("SELECT 1"))
    server.terminate_backends(database)
    with engine.connect().execution_options(**options) as connection, pytest.raises(Exception, match="terminat"):
        connection.exec_driver_sql("SELECT 1" if work == "autocommit" else work)


def test_looking_costs_nothing_and_loses_nothing(connection: TripConnection, server: Postgres, heard: Heard) -> None:
    """A notification makes a socket readable, too: it is kept. A dead connection shows without a trip."""
    connection.autocommit = True
    connection.cursor().execute("LISTEN news")
    heard()
    server.execute("NOTIFY news, 'one'", database=connection.info.dbname)
    until(lambda: connection.looks_alive() and connection.notifies)
    assert [(each.channel, each.payload) for each in connection.notifies] == [("news", "one")]
    server.terminate_backends(connection.info.dbname)
    assert not connection.looks_alive()
    assert heard() == []


def test_janitor_and_user_take_turns(connection: TripConnection) -> None:
    """Whenever the next statement comes, it finds a transaction of its own, and its own answer."""
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    dice, cursor = random.Random(seed), connection.cursor()
    cursor.execute("CREATE TABLE turn (n int)")
    connection.commit()
    for number in range(150):
        cursor.execute("INSERT INTO turn VALUES (%s) RETURNING n, (SELECT count(*) FROM turn)", (number,))
        assert cursor.fetchall() == [(number, 0)]
        connection.rollback()
        time.sleep(dice.uniform(0.003, 0.008))  # around the janitor's patience
    without_debts(connection)
    assert connection.info.transaction_status == IDLE
