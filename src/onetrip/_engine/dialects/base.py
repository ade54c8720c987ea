"""What our dialects share: nothing is asked that was told at start-up, and a lost opening is repeated once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import ref

from onetrip._engine.dialects import replay

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine
    from sqlalchemy.dialects.postgresql.base import PGDialect as Stock
else:
    Stock = object


class _AskedWhenNeeded:
    """Be an attribute of the dialect that stock asks the server for at the first connect, and hardly anybody reads."""

    def __init__(self, question: str, *, upper: bool = False) -> None:
        self._question = question
        self._upper = upper

    def __set_name__(self, _owner: type, name: str) -> None:
        self._kept = f"_{name}_asked"

    def __get__(self, dialect: Any, _owner: type | None = None) -> Any:
        if dialect is None:
            return None
        if self._kept not in dialect.__dict__:
            engine = dialect.engine_ref()
            if engine is None:
                return None
            answer = _ask(engine, self._question)
            dialect.__dict__[self._kept] = answer.upper() if self._upper else answer
        return dialect.__dict__[self._kept]

    def __set__(self, dialect: Any, value: Any) -> None:
        if value is not None:
            dialect.__dict__[self._kept] = value


def _ask(engine: Engine, question: str) -> Any:
    # On a connection of its own: whoever asks may hold the only one of the pool.
    connection = engine.pool._invoke_creator(None)  # type: ignore[arg-type]
    try:
        cursor = connection.cursor()
        cursor.execute(question)
        row = cursor.fetchone()
        cursor.close()
        connection.rollback()
    finally:
        connection.close()
    return row[0] if row else None


class TripDialect(Stock):
    """Be the half of a dialect that does not depend on the driver; comes before SQLAlchemy's own in the bases."""

    supports_statement_cache = True
    default_schema_name = _AskedWhenNeeded("SELECT current_schema()")
    default_isolation_level = _AskedWhenNeeded("SHOW default_transaction_isolation", upper=True)
    engine_ref: Any = staticmethod(lambda: None)
    _asks_at_once = True

    def initialize(self, connection: Connection) -> None:
        self.engine_ref = ref(connection.engine)
        # A listener inserted before SQLAlchemy's own sets the search path, and wants it noticed.
        listener = next(iter(connection.engine.pool.dispatch.connect))
        self._asks_at_once = not getattr(listener, "__module__", "").startswith("sqlalchemy.engine.")
        super().initialize(connection)  # type: ignore[no-untyped-call]
        self._asks_at_once = True

    def _get_server_version_info(self, connection: Connection) -> tuple[int, ...]:
        number = self.server_version(connection.connection.driver_connection)
        return divmod(number, 10_000)

    def _get_default_schema_name(self, connection: Connection) -> Any:
        # None: asked when needed.
        return super()._get_default_schema_name(connection) if self._asks_at_once else None  # type: ignore[no-untyped-call]

    def get_default_isolation_level(self, _connection: Any) -> Any:
        # create_engine(isolation_level=) names it; else None: asked when needed.
        level = self._on_connect_isolation_level
        return None if level == "AUTOCOMMIT" else level

    def _set_backslash_escapes(self, connection: Connection) -> None:
        said = self.parameter_status(connection.connection.driver_connection, "standard_conforming_strings")
        self._backslash_escapes = said == "off"

    def server_version(self, connection: Any) -> int:
        """Return the server's version as one number, as it said at start-up."""
        return int(connection.info.server_version)

    def parameter_status(self, connection: Any, name: str) -> str | None:
        """Return a setting that the server reports by itself."""
        return connection.info.parameter_status(name)  # type: ignore[no-any-return]

    def reset_isolation_level(self, dbapi_connection: Any) -> None:
        if self._on_connect_isolation_level is not None:
            super().reset_isolation_level(dbapi_connection)  # type: ignore[no-untyped-call]
        else:
            self.unset_isolation_level(dbapi_connection)

    def unset_isolation_level(self, dbapi_connection: Any) -> None:
        """Let BEGIN name no level: the server's default holds, which nobody had to ask for."""
        self._do_isolation_level(dbapi_connection, autocommit=False, isolation_level=None)  # type: ignore[attr-defined]

    def do_ping(self, dbapi_connection: Any) -> bool:
        """Look at the connection; costs no trip, and keeps no compute awake."""
        return bool(self.get_driver_connection(dbapi_connection).looks_alive())

    def pay(self, dbapi_connection: Any) -> None:
        """Send the ROLLBACK that is owed now, and wait for its answer."""
        dbapi_connection.pay()

    def do_execute(self, cursor: Any, statement: str, parameters: Any, context: Any = None) -> None:
        perform = super().do_execute
        self._with_replay(perform, cursor, (statement, parameters), context)

    def do_execute_no_params(self, cursor: Any, statement: str, context: Any = None) -> None:
        perform = super().do_execute_no_params
        self._with_replay(perform, cursor, (statement,), context)

    def do_executemany(self, cursor: Any, statement: str, parameters: Any, context: Any = None) -> None:
        perform = super().do_executemany
        self._with_replay(perform, cursor, (statement, parameters), context)

    def ending_of(self, context: Any) -> str | None:
        """Return what rides behind this execution, if anything."""
        return replay.ending_of(context)

    def take_over(self, new: Any, lost: Any) -> None:
        """Let a fresh connection go on with the transaction of one that was lost before its first answer."""
        self.get_driver_connection(new).take_over(self.get_driver_connection(lost))

    def _with_replay(self, perform: Any, cursor: Any, arguments: tuple[Any, ...], context: Any) -> None:
        if context is None:
            return perform(cursor, *arguments)  # type: ignore[no-any-return]
        replay.board(context, context.root_connection.connection.dbapi_connection)
        try:
            return perform(cursor, *arguments, context)  # type: ignore[no-any-return]
        except (self.loaded_dbapi.Error, OSError) as error:
            if not replay.allowed(context, cursor, error):
                raise
            replay.on_a_fresh_connection(context, error)
        return perform(context.cursor, *arguments, context)  # type: ignore[no-any-return]
