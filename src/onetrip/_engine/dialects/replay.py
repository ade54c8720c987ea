"""When a connection turns out dead under the first statement of a transaction: once more, on a fresh one.

Nothing can have happened on the server: no COMMIT was sent. What is not replayed: a statement that carried its own
COMMIT and may write, anything a user runs in autocommit, anything after the first answer.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy.engine.interfaces import ExecuteStyle

from onetrip._engine.dialects.harmless import harmless
from onetrip._engine.dialects.trip import trip_of

ENDING = "onetrip_ending"
"""The execution option that names what rides behind a statement."""
READ_ONLY = ("BEGIN READ ONLY",)
"""The opening that a statement which cannot write may do without: it is a transaction by itself."""


def ending_of(context: Any) -> str | None:
    """Return what rides behind this execution; a cursor on the server, or a batch, has more to come."""
    ending: str | None = context.execution_options.get(ENDING)
    if ending is None or context._is_server_side or context.execute_style is not ExecuteStyle.EXECUTE:
        return None
    return ending


def board(context: Any, connection: Any) -> None:
    """Let what rides behind this execution, if anything, ride; what cannot write and ends at once rides alone."""
    if ending := context.dialect.ending_of(context):
        trip = trip_of(connection)
        assert trip
        trip.ending = ending
        trip.alone = trip.opening == READ_ONLY and harmless(context.compiled)


def allowed(context: Any, cursor: Any, error: BaseException) -> bool:
    """Say whether the statement was lost with its transaction's opening, and can have had no effect."""
    connection = getattr(context.root_connection._dbapi_connection, "dbapi_connection", None)
    trip = trip_of(connection)
    if trip is None or not context.dialect.is_disconnect(error, connection, cursor):
        return False
    if context.dialect.ending_of(context) and not (trip.opening and "READ ONLY" in trip.opening[0]):
        error.carried_commit = True  # type: ignore[attr-defined]
        return False
    # SQLAlchemy reads the rows of each batch of INSERTs from the cursor that it began with.
    return trip.opening_lost and context.execute_style is not ExecuteStyle.INSERTMANYVALUES


def on_a_fresh_connection(context: Any, error: BaseException) -> None:
    """Replace the connection under the transaction, and suspect all that were opened before.

    Raises what connecting raises; the transaction is then as dead as its connection.
    """
    connection = context.root_connection
    fairy = connection._dbapi_connection
    record, old = fairy._connection_record, fairy.dbapi_connection
    fairy._pool._invalidate(fairy, error, _checkin=False)
    record.invalidate(error)
    try:
        fairy.dbapi_connection = new = record.get_connection()
    except BaseException:
        fairy.dbapi_connection = old
        connection.invalidate(error)
        raise
    context.dialect.take_over(new, old)
    board(context, new)
    context.cursor = context.create_cursor()
