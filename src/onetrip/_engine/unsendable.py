"""A value that a driver cannot write down is an error of the data, whichever driver it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import event
from sqlalchemy.exc import DataError

if TYPE_CHECKING:
    from sqlalchemy import Engine
    from sqlalchemy.engine import ExceptionContext


def name_unsendable_values(engine: Engine) -> None:
    r"""Let a parameter with a NUL or half a character end in SQLAlchemy's ``DataError``, and so in ``InvalidData``.

    Anybody can send them: ``"\u0000"`` and ``"\ud800"`` are good JSON. asyncpg reports both as data errors; psycopg
    and psycopg2 raise Python's own ``UnicodeEncodeError`` and ``ValueError``, which nobody takes for a bad request.
    """

    @event.listens_for(engine, "handle_error", retval=True)
    def handle_error(context: ExceptionContext) -> DataError | None:
        error = context.original_exception
        # With a statement and its execution at hand it is the driver that raised, not a type or a result's row.
        if isinstance(error, ValueError) and context.statement is not None and context.execution_context is not None:
            return DataError(context.statement, context.parameters, error, hide_parameters=engine.hide_parameters)
        return None
