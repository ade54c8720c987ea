"""What ``fetch_one``, ``fetch_all``, ``fetch_value`` and ``execute`` promise."""

import pytest
from sqlalchemy import insert, text, update
from sqlalchemy import select as plain_select
from sqlmodel import col, select

from onetrip import errors
from tests.contract.face import Face
from tests.contract.models import Account


@pytest.fixture
async def three(db: Face) -> Face:
    """Store ann with 1, bob with 2 and cid with 3."""
    async with db.transaction() as session:
        session.add_all([Account(name=name, balance=index) for index, name in enumerate(("ann", "bob", "cid"), 1)])
    return db


async def test_fetch_all_gives_entities(three: Face) -> None:
    """``select(Model)`` gives models, SQLModel's and SQLAlchemy's alike."""
    for statement in (select(Account), plain_select(Account)):
        found = await three.fetch_all(statement.order_by(col(Account.id)))
        assert [(type(one), one.name, one.balance) for one in found] == [
            (Account, "ann", 1), (Account, "bob", 2), (Account, "cid", 3)]  # fmt: skip


async def test_fetch_all_gives_rows_for_columns(three: Face) -> None:
    """Several columns are rows with names; one column of SQLModel's ``select`` is its values."""
    rows = await three.fetch_all(select(Account.name, Account.balance).order_by(col(Account.id)))
    assert rows[1].name == "bob"
    assert [tuple(row) for row in rows] == [("ann", 1), ("bob", 2), ("cid", 3)]
    assert await three.fetch_all(select(Account.name).order_by(col(Account.id))) == ["ann", "bob", "cid"]


async def test_fetch_one_is_a_row_or_none(three: Face) -> None:
    """One row is given as it is, no row is None."""
    assert (await three.fetch_one(select(Account).where(Account.name == "bob"))).balance == 2
    assert await three.fetch_one(select(Account).where(Account.name == "zoe")) is None


async def test_fetch_one_refuses_a_second_row(three: Face) -> None:
    """A second row is an error, not a silent choice."""
    with pytest.raises(errors.TooManyRows, match="fetch_all"):
        await three.fetch_one(select(Account))


async def test_fetch_value_is_the_first_column_or_none(three: Face) -> None:
    """A value is a value; parameters are bound."""
    assert await three.fetch_value(text("SELECT balance FROM account WHERE name = :name"), {"name": "cid"}) == 3
    assert await three.fetch_value(text("SELECT balance FROM account WHERE name = :name"), {"name": "';--"}) is None


async def test_fetching_cannot_write(three: Face) -> None:
    """``fetch_*`` runs READ ONLY, whatever the statement looks like."""
    with pytest.raises(errors.ReadOnlyViolation):
        await three.fetch_all(text("DELETE FROM account RETURNING id"))
    assert len(await three.fetch_all(select(Account))) == 3


async def test_execute_commits_and_counts(three: Face) -> None:
    """``rowcount`` says how many rows it touched."""
    done = await three.execute(update(Account).where(col(Account.balance) > 1).values(balance=9))
    assert (done.rowcount, done.all()) == (2, [])
    assert sorted(await three.fetch_all(select(Account.balance))) == [1, 9, 9]


async def test_execute_returns_what_returning_returns(three: Face) -> None:
    """RETURNING a model gives models, columns give rows."""
    done = await three.execute(insert(Account).values(name="dan").returning(Account))
    assert ([one.name for one in done.all()], done.rowcount) == (["dan"], 1)
    done = await three.execute(text("DELETE FROM account RETURNING name, balance"))
    assert (len(done.all()), done.rowcount) == (4, 4)


async def test_execute_takes_many_parameter_sets(three: Face) -> None:
    """A list of parameters is one statement for each of them, in one transaction."""
    await three.execute(text("INSERT INTO account (name) VALUES (:name)"), [{"name": "x"}, {"name": "y"}])
    with pytest.raises(errors.UniqueViolation):
        await three.execute(text("INSERT INTO account (name) VALUES (:name)"), [{"name": "z"}, {"name": "x"}])
    done = await three.execute(insert(Account), [{"name": "v"}, {"name": "w"}])
    assert (done.rowcount, done.all()) == (2, [])
    assert sorted(await three.fetch_all(select(Account.name))) == ["ann", "bob", "cid", "v", "w", "x", "y"]


async def test_a_str_is_never_sql(db: Face) -> None:
    """A bare string is refused with what to write, and sends nothing."""
    for method in (db.fetch_one, db.fetch_all, db.fetch_value, db.execute):
        with pytest.raises(TypeError, match=r"text\("):
            await method("SELECT 1")
    assert db.stats().opened == 0


async def test_options_reach_the_server(db: Face) -> None:
    """Role, local settings and time-out hold for a single statement too."""
    question = text("SELECT current_user || current_setting('app.user') || current_setting('statement_timeout')")
    options = {"role": "pg_read_all_data", "local": {"app.user": "ann"}, "statement_timeout": 1.5}
    with pytest.raises(errors.PermissionDenied):
        await db.fetch_value(question, **options)
    assert await db.fetch_value(question, **options | {"role": "app"}) == "appann1500ms"
