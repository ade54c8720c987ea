"""A row that is fetched without a session has the names, keys and values that a session gives it."""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import case, event, func, literal, table, text
from sqlalchemy import select as plain_select
from sqlalchemy.orm import Bundle, Session, aliased, load_only, with_loader_criteria
from sqlalchemy.orm.session import ORMExecuteState
from sqlmodel import col, select

from onetrip._engine import results
from tests.contract.face import Face
from tests.contract.models import Account

Other = aliased(Account)
NAME, BALANCE = col(Account.name), col(Account.balance)
ATTRIBUTES = {
    "two": select(Account.name, Account.balance),
    "one of a model and one of its alias": select(Account.id, Other.id).join(Other, col(Other.id) == Account.id),
    "one alone": plain_select(Account.name),
    "the same twice": plain_select(NAME, NAME),
    "distinct": plain_select(NAME, BALANCE).distinct().order_by(BALANCE, NAME),
    "grouped": plain_select(NAME, BALANCE).group_by(NAME, BALANCE).having(func.count() > 0),
}
OTHERS = {
    "a label": plain_select(NAME.label("called"), BALANCE),
    "a function": plain_select(NAME, func.count()).group_by(NAME),
    "an expression": plain_select(case((BALANCE > 1, NAME), else_="poor"), literal(1)),
    "a model and a column": plain_select(Account, BALANCE),
    "a bundle": plain_select(Bundle("both", NAME, BALANCE)),
    "options": plain_select(Account, BALANCE).options(load_only(Account.name)),
    "a subquery": plain_select(plain_select(NAME, BALANCE).subquery()),
    "text": plain_select(text("name"), BALANCE).select_from(Account),
    "a column of a table": plain_select(Account.__table__.c.name, BALANCE),  # type: ignore[attr-defined]
}
KEYS = [NAME, BALANCE, Account.id, Other.id, "name", "balance", "id", "called", "count", table("account").c]


@pytest.fixture
async def two(db: Face) -> Face:
    """Store ann with 1 and bob with 2."""
    async with db.transaction() as session:
        session.add_all([Account(name="ann", balance=1), Account(name="bob", balance=2)])
    return db


def seen(row: Any) -> Any:
    """Return all that can be seen of a row."""
    if not hasattr(row, "_mapping"):
        return repr(row)
    found = {}
    for key in KEYS:
        try:
            found[str(key)] = row._mapping[key]
        except Exception as error:  # noqa: BLE001  compared, not handled
            found[str(key)] = type(error).__name__
    return row._fields, repr(tuple(row)), found


@pytest.mark.parametrize("statement", [pytest.param(one, id=name) for name, one in (ATTRIBUTES | OTHERS).items()])
async def test_rows_are_those_of_a_session(two: Face, statement: Any) -> None:
    """Names, values, and what a row knows its columns by; also when SQLAlchemy has the statement in its cache."""
    async with two.read() as session:
        expected = [seen(row) for row in (await session.exec(statement)).all()]
    for _ in range(2):
        assert [seen(row) for row in await two.fetch_all(statement.where(literal(True)))] == expected


@pytest.mark.parametrize("statement", [pytest.param(one, id=name) for name, one in ATTRIBUTES.items()])
def test_attributes_need_no_session(statement: Any) -> None:
    """Making one costs as much as the whole trip."""
    assert results.is_plain(statement)


@pytest.fixture
def only_bob() -> Iterator[None]:
    """Let an application add a condition to every statement of every session."""

    def add(state: ORMExecuteState) -> None:
        state.statement = state.statement.options(with_loader_criteria(Account, NAME == "bob"))

    event.listen(Session, "do_orm_execute", add)
    yield
    event.remove(Session, "do_orm_execute", add)


async def test_what_listens_to_sessions_hears_of_every_statement(two: Face, only_bob: None) -> None:
    """A tenant's condition, say, must not be passed by because a statement could do without a session."""
    assert await two.fetch_all(select(Account.name)) == ["bob"]


async def test_so_does_what_listens_to_their_transactions(two: Face) -> None:
    """Nor may what is set when a transaction begins."""

    def begin(session: Session, transaction: Any, connection: Any) -> None:
        connection.exec_driver_sql("SELECT set_config('app.user', 'bob', true)")

    event.listen(Session, "after_begin", begin)
    try:
        assert await two.fetch_value(text("SELECT current_setting('app.user', true)")) == "bob"
    finally:
        event.remove(Session, "after_begin", begin)
