"""What people do with a raw connection of psycopg2's, each returning all that they see of it."""

import io
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import psycopg2
import pytest
from psycopg2 import extensions, extras

Work = Callable[[Any], object]


def _named(**options: Any) -> Work:
    def work(connection: Any) -> object:
        cursor = connection.cursor('a "name" 100%', **options)
        cursor.itersize = 3
        cursor.execute("SELECT n FROM generate_series(1, %s) n", (12,))
        given = cursor.query, cursor.fetchone(), cursor.fetchmany(2), next(cursor), [*cursor][:5], cursor.withhold
        cursor.close()
        return given

    return work


def _over(connection: Any) -> object:
    cursor = connection.cursor("short")
    cursor.execute("SELECT 1")
    connection.commit()
    return cursor.fetchone()


def _held(connection: Any) -> object:
    cursor = connection.cursor("long", withhold=True)
    cursor.execute("SELECT 1")
    connection.commit()
    given = cursor.fetchone()
    cursor.close()
    return given


def _scrolled(connection: Any) -> object:
    with connection.cursor("back", scrollable=True) as cursor:
        cursor.execute("SELECT n FROM generate_series(1, 5) n")
        cursor.scroll(3)
        return cursor.fetchone(), cursor.scroll(-2), cursor.fetchall()


def _outside(connection: Any) -> object:
    connection.autocommit = True
    return connection.cursor("outside").execute("SELECT 1")


def _copied(connection: Any) -> object:
    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE copied (n int, t text)")
        connection.commit()
        cursor.copy_from(io.StringIO("1\tone\n2\ttwo\n"), "copied")
        connection.commit()
        cursor.copy_expert("COPY copied FROM STDIN WITH CSV", io.StringIO("3,three\n"))
        connection.commit()
        out = io.StringIO()
        cursor.copy_to(out, "copied", columns=["n"])
        connection.rollback()
        cursor.copy_to(out, "nowhere")
        return out.getvalue(), cursor.rowcount


def _many(connection: Any) -> object:
    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE many (n int PRIMARY KEY)")
        connection.commit()
        cursor.executemany("INSERT INTO many VALUES (%s)", [(n,) for n in range(5)])
        count = cursor.rowcount
        connection.commit()
        extras.execute_values(cursor, "INSERT INTO many VALUES %s", [(n,) for n in range(5, 9)])
        connection.commit()
        extras.execute_batch(cursor, "UPDATE many SET n = n WHERE n > %s", [(1,), (2,)])
        with suppress(psycopg2.IntegrityError):
            cursor.executemany("INSERT INTO many VALUES (%s)", [(99,), (1,)])
        connection.rollback()
        cursor.execute("SELECT count(*) FROM many")
        return count, cursor.fetchall()


def _objects(connection: Any) -> object:
    large = connection.lobject(0, "wb")
    large.write(b"large")
    number = large.oid
    large.close()
    connection.commit()
    again = connection.lobject(number, "rb")
    given = again.read()
    connection.rollback()
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")  # our BEGIN is out, and psycopg2 cannot do without its own
        given += connection.lobject(number, "rb").read()
        cursor.execute("SELECT lo_unlink(%s)", (number,))
    connection.commit()
    connection.notices.clear()  # the server warned of that BEGIN, which is all
    return given, large.closed


def _called(connection: Any) -> object:
    with connection.cursor() as cursor:
        return cursor.callproc("repeat", ["ab", 2]), cursor.fetchall()


def _rows_as_dicts(connection: Any) -> object:
    connection.cursor_factory = extras.DictCursor
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 AS one")
        with connection.cursor(cursor_factory=extras.RealDictCursor) as other:
            other.execute("SELECT %(x)s AS two", {"x": 2})
            with connection.cursor("server", cursor_factory=extras.NamedTupleCursor) as third:
                third.execute("SELECT 3 AS three")
                return dict(cursor.fetchone()), other.fetchall(), third.fetchone().three, connection.status


def _modes(connection: Any) -> object:
    def modes() -> object:
        names = ("transaction_isolation", "transaction_read_only", "transaction_deferrable",
                 "default_transaction_isolation", "default_transaction_read_only")  # fmt: skip
        with connection.cursor() as cursor:
            cursor.execute("SELECT " + ", ".join(f"current_setting('{name}')" for name in names))
            given = cursor.fetchone()
        connection.rollback()
        return given, connection.autocommit, connection.isolation_level, connection.readonly, connection.deferrable

    given = [modes()]
    connection.set_session(isolation_level="serializable", readonly=True, deferrable=True)
    given.append(modes())
    connection.set_session(readonly="default")
    connection.isolation_level, connection.deferrable = extensions.ISOLATION_LEVEL_REPEATABLE_READ, False
    given.append(modes())
    connection.autocommit = True
    connection.readonly = True
    given.append(modes())
    connection.set_isolation_level(None)
    given.append(modes())
    connection.set_isolation_level(0)
    given.append(modes())
    connection.reset()
    given.append(modes())
    for name, value in (("isolation_level", 9), ("isolation_level", "odd"), ("readonly", "odd")):
        with pytest.raises(ValueError) as refused:
            setattr(connection, name, value)
        given.append(str(refused.value))
    return given


def _modes_in_a_transaction(connection: Any) -> object:
    connection.cursor().execute("SELECT 1")
    connection.autocommit = True
    return None


def _blocks(connection: Any) -> object:
    with connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE stays (n int)")
    with suppress(ZeroDivisionError), connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE goes (n int)")
        raise ZeroDivisionError
    connection.autocommit = True
    with connection, connection.cursor() as cursor:  # a block even so
        cursor.execute("SELECT to_regclass('stays'), to_regclass('goes')")
        given = cursor.fetchall(), connection.status
        cursor.execute("DROP TABLE stays")
    with connection, connection:
        pass
    return given


def _encoded(connection: Any) -> object:
    connection.cursor().execute("SELECT 1")
    connection.set_client_encoding("LATIN1")
    with connection.cursor() as cursor:
        cursor.execute("SELECT %s, current_setting('client_encoding')", ("é",))
        return cursor.fetchall(), connection.encoding


def _noticed(connection: Any) -> object:
    with connection.cursor() as cursor:
        cursor.execute("DO $$ BEGIN RAISE NOTICE 'a word'; END $$")
    connection.commit()
    return connection.notices[:]


def _after_a_syntax_error(connection: Any) -> object:
    with connection.cursor() as cursor:
        given = []
        for statement in ("SELEC 1", "SELECT 1", "SELECT 2"):
            with pytest.raises(psycopg2.Error) as failed:
                cursor.execute(statement)
            given.append((type(failed.value), failed.value.pgcode, connection.info.transaction_status))
        connection.rollback()
        cursor.execute("SELECT 1")
        return given, cursor.fetchall()


def _closed(connection: Any) -> object:
    cursor = connection.cursor()
    connection.close()
    given = []
    for work in (connection.commit, connection.rollback, connection.cursor, lambda: cursor.execute("SELECT 1"),
                 connection.__enter__, lambda: connection.set_session(readonly=True)):  # fmt: skip
        with pytest.raises(psycopg2.InterfaceError) as refused:
            work()
        given.append(str(refused.value))
    return given


WORKS = {
    "a cursor on the server": _named(), "a scrollable one": _scrolled, "one with hold": _held,
    "one after its transaction": _over, "one in autocommit": _outside,
    "one of dictionaries": _named(cursor_factory=extras.DictCursor), "COPY": _copied, "many rows": _many,
    "large objects": _objects, "a procedure": _called, "other cursors": _rows_as_dicts, "modes": _modes,
    "modes in a transaction": _modes_in_a_transaction, "with": _blocks, "an encoding": _encoded, "notices": _noticed,
    "a syntax error first": _after_a_syntax_error, "a closed connection": _closed,
}  # fmt: skip
