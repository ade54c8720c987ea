"""One statement in, typed rows out: the same types that SQLModel's ``session.exec`` gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakKeyDictionary

import sqlmodel  # noqa: F401  first and whole: threads that enter it by two doors lock each other out (seen)
from sqlalchemy import Connection, Delete, Executable, Insert, Result, Row, Select, Update, inspect
from sqlalchemy.engine.result import SimpleResultMetaData
from sqlalchemy.exc import ResourceClosedError
from sqlmodel.sql.expression import SelectOfScalar

from onetrip._engine.dialects.replay import ENDING
from onetrip._engine.session import TripSession, open_with
from onetrip.errors import TooManyRows

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from onetrip._core.preamble import Preamble
    from onetrip._engine.answers import Done
    from onetrip._engine.runtime import Runtime

    Asked = Session | Connection

T = TypeVar("T")

COMMITTED = {ENDING: "COMMIT"}
"""COMMIT rides behind the statement; a statement that follows is a transaction of its own, opened alike."""


def fetch_all(asked: Asked, statement: Any, params: Any) -> list[Any]:
    """Return every row."""
    return list(_read(asked, statement, params).all())


def fetch_one(asked: Asked, statement: Any, params: Any) -> Any:
    """Return the row, or None; raise ``TooManyRows`` for a second one."""
    rows = _read(asked, statement, params).fetchmany(2)
    if len(rows) > 1:
        raise TooManyRows("fetch_one() met a second row")
    return rows[0] if rows else None


def fetch_value(asked: Asked, statement: Any, params: Any) -> Any:
    """Return the first column of the first row, or None."""
    return asked.execute(_checked(statement), params, execution_options=_ending_of(asked)).scalar()


def execute(asked: Asked, statement: Any, params: Any) -> Done:
    """Run a writing statement and keep what RETURNING gave."""
    from onetrip._engine.answers import Done

    options = {"preserve_rowcount": True} | (COMMITTED if _is_one(_checked(statement), params) else {})
    result = asked.execute(statement, params, execution_options=options)
    try:
        rows = tuple(map(_unwrapped, result.all()))
    except ResourceClosedError:  # no RETURNING
        rows = ()
    # A bulk insert of objects has no count of its own.
    count = len(params) if isinstance(params, list) and not rows else len(rows)
    return Done(rowcount=getattr(result, "rowcount", count), rows=rows)


def is_plain(statement: Any) -> bool:
    """Say whether a statement makes no objects: it needs no session then, unless somebody listens to all of them."""
    if not isinstance(statement, Executable) or _sessions_are_watched():
        return False
    if "compile_state_plugin" not in statement._propagate_attrs:  # noqa: SLF001
        return True
    return isinstance(statement, Select) and not statement._with_options and _gives_attributes(statement)  # noqa: SLF001


def _gives_attributes(statement: Select[Any]) -> bool:
    """Say whether a statement asks for single attributes of models: ``select(Book.id, Book.title)``."""
    return all("proxy_key" in column._annotations for column in statement._raw_columns)  # noqa: SLF001


_some_session = TripSession()


def _sessions_are_watched() -> bool:
    """Say whether an application adds to every statement or transaction of a session, a tenant's criteria, say."""
    listeners = _some_session.dispatch
    return bool(listeners.do_orm_execute) or not all(map(_is_ours, listeners.after_begin))


def _is_ours(listener: Any) -> bool:
    return getattr(listener, "__module__", "").startswith("onetrip.")


def without_session(runtime: Runtime, wanted: Preamble, take: Callable[..., T], statement: Any, params: Any) -> T:
    """Run one statement that makes no objects, on a connection, which costs half of what a session costs."""
    with runtime.translating(), runtime.engine.connect() as connection:
        open_with(connection, wanted)
        taken = take(connection, statement, params)
        if not wanted.read_only:
            connection.commit()  # nothing is left to send if COMMIT rode along
        return taken


def server_version(session: Session) -> str:
    """Return what the server says it is."""
    return str(session.connection().exec_driver_sql("SHOW server_version").scalar_one())


def _read(asked: Asked, statement: Any, params: Any) -> Any:
    result = asked.execute(_checked(statement), params, execution_options=_ending_of(asked))
    if isinstance(asked, Connection):
        _name_as_a_session_does(result)
    return _typed(result, statement)


def _name_as_a_session_does(result: Any) -> None:
    """Let rows of models' attributes be known by these attributes, ``row._mapping[Book.title]``, and by their names."""
    compiled = result.context.compiled
    entities = getattr(compiled.compile_state, "_entities", None)
    if entities and result.returns_rows:
        if compiled not in _names:
            labels, extra = [one._label_name for one in entities], [one._extra_entities for one in entities]  # noqa: SLF001
            _names[compiled] = SimpleResultMetaData(labels, extra, result._metadata._processors)  # noqa: SLF001
        result._metadata = _names[compiled]  # noqa: SLF001
        result._reset_memoizations()  # noqa: SLF001


_names: WeakKeyDictionary[Any, SimpleResultMetaData] = WeakKeyDictionary()
"""What SQLAlchemy's loading would make anew for each result."""


def _ending_of(asked: Asked) -> dict[str, Any]:
    # A snapshot holds for all that an object's statement loads, which may take further statements.
    return {} if isinstance(asked, TripSession) and asked.preamble.isolation else COMMITTED


def _is_one(statement: Any, params: Any) -> bool:
    """Say whether a writing statement is one statement on the wire, so that COMMIT may follow it at once."""
    if not isinstance(params, Mapping | None):
        return False
    if not isinstance(statement, Insert | Update | Delete):
        return True
    entity = statement.entity_description.get("entity")
    return entity is None or len(inspect(entity).mapper.tables) == 1


def _checked(statement: Any) -> Executable:
    if isinstance(statement, str):
        raise TypeError("a str is never SQL: write select(…), or text(…) with bound parameters")
    if not isinstance(statement, Executable):
        raise TypeError(f"{type(statement).__name__} is no statement: write select(…), or text(…)")
    return statement


def _typed(result: Result[Any], statement: Any) -> Any:
    return result.scalars() if _is_scalar(statement) else result


def _is_scalar(statement: Any) -> bool:
    """Say whether a row is one thing: SQLModel's ``select(one)``, or a single entity in SQLAlchemy's own."""
    if isinstance(statement, SelectOfScalar):
        return True
    if isinstance(statement, Select) and _gives_attributes(statement):
        return False  # known without describing them, which takes as long as the server does
    described: list[Any] = getattr(statement, "column_descriptions", None) or []
    return len(described) == 1 and getattr(inspect(described[0]["expr"], raiseerr=False), "is_mapper", False)


def _unwrapped(row: Row[Any]) -> Any:
    """Return the entity of ``RETURNING`` a model alone; SQLAlchemy cannot describe such a statement beforehand."""
    alone = len(row) == 1 and getattr(inspect(row[0], raiseerr=False), "is_instance", False)
    return row[0] if alone else row
