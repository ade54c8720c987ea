"""Which statements may run without a transaction that says READ ONLY: those of which it is certain that they read."""

from typing import Any

import pytest
from sqlalchemy import (
    ForeignKey,
    Sequence,
    String,
    TypeDecorator,
    bindparam,
    case,
    cast,
    column,
    delete,
    exists,
    func,
    insert,
    literal,
    literal_column,
    table,
    text,
    union,
)
from sqlalchemy import select as plain_select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    aliased,
    column_property,
    joinedload,
    mapped_column,
    query_expression,
    relationship,
    with_expression,
    with_loader_criteria,
)
from sqlalchemy.sql.elements import quoted_name
from sqlalchemy.sql.expression import ColumnElement
from sqlalchemy.sql.functions import GenericFunction
from sqlmodel import col, select

from onetrip._engine.dialects.harmless import harmless
from tests.contract.models import Account


class Base(DeclarativeBase):
    pass


class Sealed(TypeDecorator[str]):
    impl = String
    cache_ok = True

    def column_expression(self, column: Any) -> Any:
        return func.unseal(column)


class Book(Base):
    __tablename__ = "book"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    data: Mapped[dict[str, Any]] = mapped_column(JSONB)
    pages: Mapped[list["Page"]] = relationship()
    remark: Mapped[str] = query_expression()


class Page(Base):
    __tablename__ = "page"
    id: Mapped[int] = mapped_column(primary_key=True)
    book_id: Mapped[int] = mapped_column(ForeignKey("book.id"))


class Counted(Base):
    __tablename__ = "counted"
    id: Mapped[int] = mapped_column(primary_key=True)
    seen: Mapped[int] = column_property(func.count_a_visit(1))


class Secret(Base):
    __tablename__ = "secret"
    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str] = mapped_column(Sealed)


class Odd(ColumnElement[int]):
    inherit_cache = True


@compiles(Odd)
def write_odd(_element: Odd, _compiler: Any, **_options: Any) -> str:
    """Write what SQLAlchemy knows nothing of."""
    return "nextval('odd')"


class OwnFunction(GenericFunction[int]):
    name = "own_function"
    inherit_cache = True


def compiled(statement: Any) -> Any:
    """Compile as the engine does."""
    return statement.compile(dialect=PGDialect_asyncpg())


READS = {
    "a model": select(Account).where(col(Account.name) == "ann").order_by(col(Account.id).desc().nulls_last()).limit(3),
    "columns": select(Account.id, col(Account.name).label("other")).distinct().offset(3),
    "a count": select(func.count()).select_from(Account),
    "a sum": select(func.coalesce(func.sum(Account.balance), 0)).group_by(col(Account.name)).having(func.max(1) > 0),
    "functions that compute": select(func.lower(Account.name), func.now(), func.date_trunc("day", func.now())),
    "a join": plain_select(Book, Page).join(Book.pages).where(Page.id > 3),
    "joined loading": plain_select(Book).options(joinedload(Book.pages)).limit(3),
    "JSON": plain_select(Book.data["a"]["b"].astext).where(Book.data.contains({"a": 1}), Book.data.has_key("a")),
    "a pattern": plain_select(Book.id).where(Book.title.ilike("a%") | ~Book.title.regexp_match("b")),
    "full text": plain_select(Book.id).where(
        func.to_tsvector("english", Book.title).bool_op("@@")(func.websearch_to_tsquery("english", "a"))
    ),
    "a case": plain_select(
        case((Book.id > 1, "x"), else_=None), cast(Book.id, String), literal(True), Book.id.in_([1])
    ),
    "exists": plain_select(Book.id).where(exists().where(Page.book_id == Book.id), Book.pages.any(Page.id == 1)),
    "a subquery": plain_select(Book.id).where(Book.id.in_(plain_select(Page.book_id))),
    "a common table expression": plain_select(plain_select(Page.id).cte("pages").c.id),
    "a union": union(plain_select(Book.id), plain_select(Page.id)),
    "a window": plain_select(func.row_number().over(partition_by=Page.book_id, order_by=Page.id)),
    "an alias": plain_select(aliased(Book)),
    "a lateral": plain_select(Book.id, plain_select(Page.id).where(Page.book_id == Book.id).limit(1).lateral().c.id),
    "without models": plain_select(table("book", column("id")).c.id).where(column("id") == bindparam("id")),
}
MAY_WRITE = {
    "an insert": insert(Account).values(name="ann").returning(Account.id),
    "a delete in front": plain_select(delete(Account).returning(Account.id).cte().c.id),
    "a delete beside": select(Account).add_cte(delete(Account).cte()),
    "text": text("SELECT 1"),
    "text as a condition": select(Account).where(text("evil()")),
    "text as a statement of models": plain_select(Book).from_statement(text("SELECT * FROM book")),
    "a text column": plain_select(literal_column("evil()")),
    "a sequence": plain_select(Sequence("odd").next_value()),
    "a function of somebody's": plain_select(func.evil(1)),
    "a function of somebody's with a class": plain_select(OwnFunction(1)),
    "a known name in another schema": plain_select(func.evil.lower("A")),
    "a function as a table": plain_select(func.evil().table_valued("id").c.id),
    "a function of the server that acts": plain_select(func.set_config("a.b", "c", False)),
    "a lock": select(Account).with_for_update(),
    "a lock inside": plain_select(plain_select(Page.id).with_for_update().subquery().c.id),
    "a prefix": select(Account).prefix_with("/* */"),
    "a hint": select(Account).with_statement_hint("evil"),
    "an operator of somebody's": plain_select(Book.id.op("~~>")(1)),
    "an element of somebody's": plain_select(Odd()),
    "a model with a function": plain_select(Counted),
    "a model with a function inside": plain_select(plain_select(Counted).subquery().c.id),
    "a model with a function beside": union(plain_select(Counted), plain_select(Counted)),
    "a type that wraps": plain_select(Secret),
    "a type that wraps, aliased": plain_select(aliased(Secret).text),
    "an expression for a model": plain_select(Book).options(with_expression(Book.remark, func.evil())),
    "criteria for what is inside": plain_select(Book).options(with_loader_criteria(Page, text("evil()"))),
    "a name that is not quoted": plain_select(column(quoted_name("evil()", quote=False))),
}


@pytest.mark.parametrize("statement", READS.values(), ids=READS)
def test_reads(statement: Any) -> None:
    """It cannot write, and costs no more than itself."""
    assert harmless(compiled(statement))


@pytest.mark.parametrize("statement", MAY_WRITE.values(), ids=MAY_WRITE)
def test_may_write(statement: Any) -> None:
    """It writes, or nobody knows: the server has to refuse."""
    assert not harmless(compiled(statement))


def test_what_was_never_compiled_may_write() -> None:
    """SQL handed to the driver is text."""
    assert not harmless(None)


def test_a_verdict_is_remembered() -> None:
    """What SQLAlchemy compiled once is not walked through again."""
    statement = compiled(select(Account))
    assert harmless(statement)
    statement.statement = statement.compile_state = None
    assert harmless(statement)
