"""The session people know, SQLModel's, opened with a preamble and closed for good."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Connection, event
from sqlmodel import Session

from onetrip._core.preamble import settings_sql
from onetrip._engine import bridge
from onetrip._engine.dialects.base import TripDialect
from onetrip._engine.dialects.trip import trip_of
from onetrip.errors import SessionClosed, UnsafeUse

if TYPE_CHECKING:
    from sqlalchemy.orm import SessionTransaction
    from sqlmodel.ext.asyncio.session import AsyncSession

    from onetrip._core.preamble import Preamble
    from onetrip._engine.runtime import Runtime


class TripSession(Session):
    """Be SQLModel's session; its transactions start with ``preamble``, and once ended it stays ended."""

    preamble: Preamble
    ended: bool = False

    def close(self) -> None:
        """End the session: what is not committed is rolled back, and further use raises ``SessionClosed``."""
        self.ended = True
        super().close()

    def _autobegin_t(self, begin: bool = False) -> SessionTransaction:  # noqa: FBT001, FBT002  SQLAlchemy's signature
        # Private, and the one place that all work passes: SQLAlchemy's own refusal does not say what to do instead.
        if self.ended:
            raise SessionClosed("this session has ended: its transaction is over, its connection is back in the pool")
        return super()._autobegin_t(begin)


def new_session(runtime: Runtime, preamble: Preamble) -> TripSession:
    """Make a session; it takes a connection at its first statement and not before."""
    session = TripSession(expire_on_commit=False, close_resets_only=False)
    let_become(session, runtime, preamble)
    return session


def new_async_session(runtime: Runtime, preamble: Preamble) -> AsyncSession:
    """Make the asyncio face of the same session."""
    from sqlmodel.ext.asyncio.session import AsyncSession

    session = AsyncSession(sync_session_class=TripSession, expire_on_commit=False, close_resets_only=False)
    let_become(session.sync_session, runtime, preamble)
    return session


def let_become(session: Session, runtime: Runtime, preamble: Preamble) -> None:
    """Give the session's next transaction another preamble."""
    assert isinstance(session, TripSession)
    session.bind = runtime.bind(preamble)
    session.preamble = preamble


async def leave(session: Session, succeeded: bool) -> None:  # noqa: FBT001  the twin of end()
    """End an asyncio session, whoever cancels meanwhile."""
    assert isinstance(session, TripSession)
    pool = session.bind.pool  # type: ignore[union-attr]
    free = isinstance(session.bind.dialect, TripDialect) and not pool.ledger.closed  # type: ignore[union-attr]
    leaving = bridge.in_greenlet(end, session, succeeded)
    if free and (session.preamble.read_only or not succeeded):
        await leaving  # it waits for nothing that a cancellation could cut in half
    else:
        await bridge.finish(leaving)


def end(session: Session, succeeded: bool) -> None:  # noqa: FBT001  passed on through a greenlet
    """Commit what succeeded, unless the block closed its session itself, and give the connection back."""
    assert isinstance(session, TripSession)
    try:
        if succeeded and not session.ended and not session.preamble.read_only:
            session.commit()
    finally:
        session.close()


@event.listens_for(TripSession, "after_begin")
def _open(session: TripSession, transaction: SessionTransaction, connection: Connection) -> None:
    if not transaction.nested:
        open_with(connection, session.preamble)


def open_with(connection: Connection, preamble: Preamble) -> None:
    """Let the connection's next transaction start with ``preamble``; only a stock dialect needs a trip for it."""
    if preamble.settings:
        _refuse_autocommit(preamble, connection)
    if trip := trip_of(connection.connection.dbapi_connection):
        options = connection.get_execution_options()
        trip.opening = preamble.opening(
            isolation=options.get("isolation_level"),
            read_only=options.get("postgresql_readonly", False),
            deferrable=options.get("postgresql_deferrable", False),
        )
    elif preamble.settings:
        connection.exec_driver_sql(settings_sql(preamble.settings))


def _refuse_autocommit(preamble: Preamble, connection: Connection) -> None:
    level = connection.get_execution_options().get("isolation_level", "")
    if preamble.has_identity and level.upper() == "AUTOCOMMIT":
        connection.invalidate()  # who catches the error must not go on without them
        raise UnsafeUse(
            "in autocommit there is no transaction that role= and local= could hold for: statements would run without",
            hint="open a transaction without them for what has to run in autocommit",
        )
