"""How BEGIN and all that goes with it leaves in one packet with the first statement, over psycopg 3.

psycopg writes its operations as generators that both of its connection classes drive; so do we, and there is one source
for both. A private name of psycopg's is used where there is no public one: `_start_query`, `_execute_gen` and the like
are where a transaction starts and ends.
"""

from __future__ import annotations

import os
import select
import socket
from collections.abc import Callable, Generator
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import generators, pq
from psycopg._pipeline_base import BasePipeline

from onetrip._engine.dialects.trip import Trip

if TYPE_CHECKING:
    from psycopg._connection_base import BaseConnection
    from psycopg._cursor_base import BaseCursor

    AnyConnection = BaseConnection[Any]
    AnyCursor = BaseCursor[Any, Any]
else:
    AnyConnection = AnyCursor = object

IDLE, INERROR = pq.TransactionStatus.IDLE, pq.TransactionStatus.INERROR
FATAL_ERROR = pq.ExecStatus.FATAL_ERROR
_CHANGES_NO_PLAN = (b"SELECT", b"INSERT", b"UPDATE", b"DELETE", b"MERGE")

Steps = Generator[Any, Any, Any]
"""psycopg's own kind of generator: it yields what to wait for."""


def _is_stale_plan(error: psycopg.Error) -> bool:
    """Say whether a migration went by: what was planned before it cannot run any more."""
    return "cached plan" in str(error)


class Flight(BasePipeline):
    """Be a pipeline whose commands leave together: psycopg's own sends each in a packet of its own."""

    def add(self, commands: list[bytes]) -> None:
        """Put commands of ours in line; none of them is prepared."""
        for command in commands:
            self.command_queue.append(partial(self.pgconn.send_query_params, command, None))
            self.result_queue.append(None)

    def depart(self) -> None:
        """Hand everything in line to libpq, in order, with the end of the flight."""
        self._enqueue_sync()
        for command in self.command_queue:
            command()
        self.command_queue.clear()

    def _communicate_gen(self) -> Steps:
        return  # psycopg would send now
        yield


class _Info(psycopg.ConnectionInfo):
    """Say what its user sees: a transaction that only waits for its ROLLBACK is over."""

    def __init__(self, pgconn: pq.abc.PGconn, trip: Trip) -> None:
        super().__init__(pgconn)
        self._trip = trip

    @property
    def transaction_status(self) -> pq.TransactionStatus:
        return IDLE if self._trip.owes_rollback else super().transaction_status


class Rides(AnyConnection):
    """Let what is owed ride in front of a statement; a mixin for both of psycopg's connections."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.trip = Trip()
        self._changed_schema = False

    @property
    def info(self) -> psycopg.ConnectionInfo:
        return _Info(self.pgconn, self.trip)

    def owed(self) -> list[bytes]:
        """Return what has to be on the server before the next statement."""
        owed = [b"ROLLBACK"] if self.trip.owes_rollback else []
        if self._autocommit or self.trip.alone or not (owed or self.pgconn.transaction_status == IDLE):
            return owed
        if self.trip.opening is None:
            return [*owed, self._get_tx_start_command()]
        return owed + [command.encode() for command in self.trip.opening]

    def _start_query(self) -> Steps:
        # What cannot ride comes here: COPY, server-side cursors, executemany, several statements in one text.
        if isinstance(self._pipeline, Flight):
            return
        owed = self.owed()
        # What was cleared is thrown away here: psycopg does it behind a statement, which may just have been prepared.
        if not owed:
            if self.pgconn.transaction_status != INERROR:
                yield from self._prepared.maintain_gen(self)
            return
        if self._pipeline:
            for command in owed:
                yield from self._exec_command(command)
            yield from self._prepared.maintain_gen(self)
            yield from self._pipeline._sync_gen()
        else:
            self.trip.opening_lost = True
            yield from self._pay(owed)
            self.trip.opening_lost = False
        self.trip.owes_rollback = False

    def _pay(self, owed: list[bytes]) -> Steps:
        self._check_connection_ok()
        self.pgconn.send_query(b"; ".join(owed))
        results = yield from generators.execute(self.pgconn)
        self.trip.owes_rollback = False
        for result in results:
            if result.status == FATAL_ERROR:
                self.trip.opening_lost = False
                raise psycopg.errors.error_from_result(result, encoding=self.pgconn._encoding)
        yield from self._prepared.maintain_gen(self)

    def _hang_up(self) -> None:
        """End a connection that somebody is working with: he finds the line dead.

        It is not closed under him: libpq would free the memory that psycopg's generators go on reading (SIGSEGV, seen).
        """
        with suppress(psycopg.Error, OSError), socket.socket(fileno=os.dup(self.pgconn.socket)) as line:
            line.shutdown(socket.SHUT_RDWR)

    def _settle_gen(self) -> Steps:
        """Send the ROLLBACK that is owed, if it is."""
        if self.trip.owes_rollback and self.pgconn.status == pq.ConnStatus.OK:
            yield from self._pay([b"ROLLBACK"])

    def fly(self, owed: list[bytes], statement: Steps) -> Steps:
        """Send what is owed, the statement and its ending at once, then read the answers."""
        trip, pgconn = self.trip, self.pgconn
        self._check_connection_ok()
        ending, trip.ending = trip.ending, None
        flight = self._pipeline = Flight(self)
        sent = landed = False
        try:
            yield from flight._enter_gen()
            flight.add(owed)
            yield from self._prepared.maintain_gen(self)
            yield from statement  # what it cannot write down it refuses here, with nothing sent yet
            flight.add([ending.encode()] if ending else [])
            sent = trip.opening_lost = True
            flight.depart()
            yield from generators.send(pgconn)
            trip.owes_rollback = False
            yield from flight._fetch_gen(flush=False)
            landed = True
        finally:
            self._land(flight)
            if sent and not landed:
                # A statement may count as prepared whose preparation was skipped with the rest of the flight.
                self._prepared.clear()
        yield from self._prepared.maintain_gen(self)

    def alone(self, execute: Callable[[], Steps]) -> Steps:
        """Run a statement that is a transaction by itself."""
        trip = self.trip
        trip.ending, trip.opening_lost = None, True
        try:
            yield from execute()
        except psycopg.errors.FeatureNotSupported as error:
            if not _is_stale_plan(error):
                raise
            self._prepared.clear()
            yield from execute()
        finally:
            trip.alone = False
            trip.opening_lost = self.pgconn.status != pq.ConnStatus.OK

    def _land(self, flight: Flight) -> None:
        self._pipeline = None
        if self.pgconn.status != pq.ConnStatus.OK:
            return
        try:
            flight._exit(None)
        except psycopg.OperationalError:
            # Cut off with answers under way, or a COPY: libpq cannot use this connection any more, and says it is OK.
            self.pgconn.finish()
        else:
            self.trip.opening_lost = False

    def _commit_gen(self) -> Steps:
        if not self.trip.owes_rollback:
            yield from super()._commit_gen()
        self._changed_schema = False
        self.trip.forget()

    def _rollback_gen(self) -> Steps:
        if self._must_tell():
            self.trip.forget()
            yield from super()._rollback_gen()
        else:
            self._leave()

    def _must_tell(self) -> bool:
        return bool(self._num_transactions or self._tpc or self._pipeline)

    def _leave(self) -> None:
        self.trip.forget()
        pgconn = self.pgconn
        if self.trip.owes_rollback or pgconn.status != pq.ConnStatus.OK or pgconn.transaction_status == IDLE:
            return
        if pgconn.transaction_status == INERROR or self._changed_schema:
            self._prepared.clear()  # plans of what is not there any more; psycopg does so at every ROLLBACK it sends
            self._changed_schema = False
        self.trip.owes_rollback = True
        self._ask_janitor()

    def _ask_janitor(self) -> None:
        raise NotImplementedError

    def _check_intrans_gen(self, attribute: str) -> Steps:
        if not self.trip.owes_rollback:
            yield from super()._check_intrans_gen(attribute)

    def _tpc_begin_gen(self, xid: Any) -> Steps:
        yield from self._settle_gen()
        yield from super()._tpc_begin_gen(xid)

    def take_over(self, lost: Any) -> None:
        """Go on with the transaction of a connection that was lost before its first answer."""
        for name in ("_autocommit", "_isolation_level", "_read_only", "_deferrable"):
            setattr(self, name, getattr(lost, name))
        self._begin_statement = b""
        self.trip.opening = lost.trip.opening

    def _looks_alive(self) -> bool:
        pgconn = self.pgconn
        if pgconn.status != pq.ConnStatus.OK:
            return False
        poll = select.poll()
        poll.register(pgconn.socket, select.POLLIN)
        try:
            # Notices and notifications are read away; an end of file shows at the second reading only.
            while poll.poll(0):
                pgconn.consume_input()
                pgconn.is_busy()
        except psycopg.OperationalError:
            return False
        return True


class RidingCursor(AnyCursor):
    """Send a statement together with what its connection owes; a mixin for both of psycopg's cursors."""

    def _execute_gen(
        self, query: Any, params: Any = None, *, prepare: bool | None = None, binary: bool | None = None
    ) -> Steps:
        connection, trip = self._conn, self._conn.trip
        execute = partial(super()._execute_gen, query, params, prepare=prepare, binary=binary)
        owed = connection.owed() if connection._pipeline is None and self._may_ride(connection, query, params) else []
        if not owed:
            yield from connection.alone(execute) if trip.alone else execute()
        else:
            ending = trip.ending
            try:
                yield from connection.fly(owed, execute())
            except psycopg.errors.FeatureNotSupported as error:
                if not _is_stale_plan(error):
                    raise
                # Nothing but this statement was in the transaction: it opens anew, and plans anew.
                trip.owes_rollback, trip.ending = True, ending
                yield from connection.fly(connection.owed(), execute())
        said = self._statusmessage
        if said is not None and not said.startswith(_CHANGES_NO_PLAN):
            connection._changed_schema = True

    @staticmethod
    def _may_ride(connection: Any, query: Any, params: Any) -> bool:
        # The extended protocol takes one statement at a time, and in autocommit some statements want to be alone.
        if connection._autocommit:
            return False
        if params:
            return True
        text = query.encode() if isinstance(query, str) else query
        return isinstance(text, bytes) and b";" not in text.rstrip(b"; \n\t\r")
