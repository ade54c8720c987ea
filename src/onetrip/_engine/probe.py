"""Learn by trying what an endpoint can do: at most two connections at a time, bounded, and nothing is left behind.

Called by doctor and by migrations, never unasked: it would wake a sleeping database.
"""

from __future__ import annotations

import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import pq, sql

from onetrip._core import classify
from onetrip._core.probing import Capabilities, Option, Seen, conclude
from onetrip._core.profile import connect_profile
from onetrip._engine.tls import ca_bundle
from onetrip.errors import Phase, StartupRefused

if TYPE_CHECKING:
    from onetrip._core.url import DatabaseUrl

Connection = psycopg.Connection[tuple[Any, ...]]
SETTING = "onetrip.probe"
TRIES = 5
"""How often two clients try to meet: in between, the application's own clients may take the process."""

_known: dict[str, Capabilities] = {}


def probe(url: DatabaseUrl, *, timeout: float = 5.0) -> Capabilities:
    """Return what the endpoint can do, tried once in this process; ``timeout`` in seconds bounds the whole of it.

    Two URLs with the same hosts, database and user are one endpoint. Raises psycopg.Error where it cannot connect,
    or where the answer does not come in time.
    """
    key = f"{url.user}@{url.hosts}/{url.database}"
    if key not in _known:
        _known[key] = conclude(_look(_Trial(url, time.monotonic() + timeout)))
    return _known[key]


def forget() -> None:
    """Forget what was learnt: an endpoint may be another after a change of its settings."""
    _known.clear()


@contextmanager
def cut_after(connection: Connection, seconds: float) -> Iterator[Connection]:
    """Shut the connection's socket when the time is up, whoever waits on it; it is the caller's to close."""
    handle = socket.socket(fileno=os.dup(connection.fileno()))
    timer = threading.Timer(max(seconds, 0.01), _shut, [handle])
    timer.daemon = True
    timer.start()
    try:
        yield connection
    finally:
        timer.cancel()
        timer.join()
        handle.close()


def _shut(handle: socket.socket) -> None:
    with suppress(OSError):
        handle.shutdown(socket.SHUT_RDWR)


@dataclass
class _Trial:
    url: DatabaseUrl
    end: float
    mark: str = field(default_factory=lambda: secrets.token_hex(6))

    @contextmanager
    def connect(self, options: str = "") -> Iterator[Connection]:
        left = self.end - time.monotonic()
        profile = connect_profile(
            self.url, "psycopg", ca_bundle=ca_bundle, connect_timeout=left, application_name="onetrip probe"
        )
        # psycopg prepares by itself what it is asked often: through a pooler, that would end the probe.
        profile.arguments["prepare_threshold"] = None
        if options:  # past the profile, which knows by name what some poolers refuse; here it is tried
            profile.arguments["options"] = f"{profile.arguments.get('options', '')} {options}".strip()
        with closing(psycopg.connect(**profile.arguments, autocommit=True)) as opened, cut_after(opened, left):
            yield opened


def _look(trial: _Trial) -> Seen:
    option, refusal = Option.ARRIVED, None
    try:
        with trial.connect(f"-c {SETTING}={trial.mark}") as first:
            if _setting(first) != trial.mark:
                option = Option.DROPPED
            return _meet(trial, first, option, None)
    except psycopg.OperationalError as error:
        found = classify.facts(error)
        if classify.classify(found, Phase.CONNECT) is not StartupRefused:
            raise
        option, refusal = Option.REFUSED, classify.plain(found.text)
    with trial.connect() as first:
        return _meet(trial, first, option, refusal)


def _meet(trial: _Trial, first: Connection, option: Option, refusal: str | None) -> Seen:
    """Let a second client come while the first is there, and others when both have gone."""
    with trial.connect() as second:
        process = _process(first)
        shared = moved = False
        for _ in range(TRIES):
            with second.transaction():
                shared = _process(second) == process
            moved = not shared and _process(first) != process
            if shared or moved:
                lost, leaked = _share(trial, first, second)
                return Seen(option, refusal, process, shared, moved, prepared_error=lost, leaked=leaked)
        processes = {process, _process(second)}
    lost = _prepare(first, trial.mark) or _execute(first, trial.mark)
    _set(first, trial.mark)
    first.close()
    # A pooler needs a moment to take the processes back, which a server that let the option through has no use for.
    for _ in range(1 if option is Option.ARRIVED else TRIES):
        with trial.connect() as third:
            process = _process(third)
            leaked = _setting(third) == _value(trial.mark)
            if leaked:
                _reset(third)
        if process in processes:
            break
    return Seen(option, refusal, process, reused=process in processes, prepared_error=lost, leaked=leaked)


def _share(trial: _Trial, first: Connection, second: Connection) -> tuple[str | None, bool]:
    """Set and prepare with one client, look with the other, which then clears both away; try until they meet."""
    lost, leaked = None, False
    names: list[str] = []
    dirty: set[int] = set()
    while len(names) < TRIES * 4:  # more than to recognise it: a pooler of a busy application keeps them apart
        names.append(name := f"{trial.mark}_{len(names)}")
        with first.transaction():
            process = _process(first)
            _set(first, trial.mark)
            lost = _prepare(first, name) or lost
        with second.transaction():
            met = _process(second)
            leaked = _setting(second) == _value(trial.mark) or leaked
            _reset(second)
            lost = _prepare_again(second, name) or lost
        lost = lost or _execute(first, name)
        if met == process:
            break
        dirty |= {process, met}
    _clean(first, dirty, names)
    return lost, leaked


def _clean(client: Connection, dirty: set[int], names: list[str]) -> None:
    """Clear server processes on which the two did not meet."""
    for _ in range(TRIES * 10):
        if not dirty:
            return
        with client.transaction():
            dirty.discard(_process(client))
            _reset(client)
            for name in names:
                _deallocate(client, name)


def _process(client: Connection) -> int:
    row = client.execute("SELECT pg_backend_pid()").fetchone()
    assert row is not None
    return int(row[0])


def _setting(client: Connection) -> str | None:
    row = client.execute(f"SELECT current_setting('{SETTING}', true)").fetchone()
    return row[0] if row else None


def _set(client: Connection, mark: str) -> None:
    client.execute(f"SET {SETTING} = '{_value(mark)}'")


def _value(mark: str) -> str:
    """Return what SET writes: not what the start-up option did."""
    return f"{mark}-set"


def _reset(client: Connection) -> None:
    client.execute(f"RESET {SETTING}")


def _prepare_again(client: Connection, name: str) -> str | None:
    """Prepare under a name that another client uses on this process: allowed only by a pooler that renames it."""
    client.execute("SAVEPOINT probe")
    said = _prepare(client, name)
    if said:
        client.execute("ROLLBACK TO SAVEPOINT probe")
        _deallocate(client, name)
    return said


def _deallocate(client: Connection, name: str) -> None:
    with suppress(psycopg.errors.InvalidSqlStatementName), client.transaction():
        client.execute(sql.SQL("DEALLOCATE {}").format(sql.Identifier(name)))


def _prepare(client: Connection, name: str) -> str | None:
    return _complaint(client.pgconn.prepare(name.encode(), b"SELECT 1"))


def _execute(client: Connection, name: str) -> str | None:
    return _complaint(client.pgconn.exec_prepared(name.encode(), None))


def _complaint(result: pq.abc.PGresult) -> str | None:
    if result.status in {pq.ExecStatus.COMMAND_OK, pq.ExecStatus.TUPLES_OK}:
        return None
    return classify.plain(result.error_message.decode("utf-8", "replace").strip())
