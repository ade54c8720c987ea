"""What Database and AsyncDatabase share: everything but the awaiting."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import DBAPIError

from onetrip._core import preamble
from onetrip._core.preamble import Preamble
from onetrip._engine import budget, forked
from onetrip._engine.dialects.base import TripDialect
from onetrip._engine.pool import Ledger, TripPool
from onetrip.errors import ConnectFailed, DatabaseError, Phase

if TYPE_CHECKING:
    from sqlalchemy import Engine
    from sqlalchemy.ext.asyncio import AsyncEngine

    from onetrip._core.figures import PoolStats
    from onetrip.settings import Settings


_READING = Preamble(read_only=True)


class Runtime:
    """Hold the engine and decide, for one Database, everything that needs no awaiting."""

    def __init__(
        self, settings: Settings, engine: Engine, ledger: Ledger, where: str, *, timeouts_at_startup: bool
    ) -> None:
        self.settings = settings
        self.engine = engine
        self.ledger = ledger
        self.where = where
        self._timeouts_at_startup = timeouts_at_startup
        self._variants: dict[tuple[str | None, bool], Engine] = {(None, False): engine}
        self._last_failure: tuple[float, DatabaseError] | None = None
        forked.runtimes.add(self)

    @cached_property
    def async_engine(self) -> AsyncEngine:
        """Return the asyncio face of the engine."""
        from sqlalchemy.ext.asyncio import AsyncEngine

        return AsyncEngine(self.engine)

    @property
    def leaves_freely(self) -> bool:
        """Say whether a session that has nothing to commit ends without a word to the server."""
        return isinstance(self.engine.dialect, TripDialect)

    def preamble(
        self,
        *,
        isolation: str | None = None,
        read_only: bool = False,
        statement_timeout: float | None = None,
        role: str | None = None,
        local: Mapping[str, str] | None = None,
    ) -> Preamble:
        """Check the arguments of one transaction and add the time-outs that hold for it."""
        return preamble.build(
            isolation=isolation,
            read_only=read_only,
            statement_timeout=self._statement_timeout(statement_timeout),
            idle_timeout=None if self._timeouts_at_startup else self.settings.idle_in_transaction_timeout or None,
            role=role,
            local=local,
        )

    def reading(self, *, snapshot: bool = False, **options: Any) -> Preamble:
        """Do the same for a transaction that is READ ONLY, and one snapshot of the data if asked for."""
        if not snapshot and not options and self._timeouts_at_startup and budget.current() is None:
            return _READING
        return self.preamble(isolation="repeatable read" if snapshot else None, read_only=True, **options)

    def _statement_timeout(self, wanted: float | None) -> float | None:
        """Return the limit to set, in seconds: the caller's, the deadline's, or the default a pooler kept from us."""
        default = self.settings.statement_timeout or None  # 0 is without limit
        limit = default if wanted is None else preamble.seconds(wanted)
        left = budget.remaining()
        if left is not None:
            return left if limit is None else min(left, limit)
        return limit if wanted is not None or not self._timeouts_at_startup else None

    def bind(self, wanted: Preamble) -> Engine:
        """Return the engine whose transactions have this isolation and access mode; all share one pool."""
        if self.leaves_freely:
            return self.engine  # they travel in the preamble
        key = (wanted.isolation, wanted.read_only)
        if key not in self._variants:
            options: dict[str, Any] = {"postgresql_readonly": True} if wanted.read_only else {}
            if wanted.isolation:
                options["isolation_level"] = wanted.isolation.upper()
            self._variants[key] = self.engine.execution_options(**options)
        return self._variants[key]

    def translating(self) -> AbstractContextManager[None]:
        """Let errors of the database leave as one of ours, with the driver's own exception as cause."""
        return _Translating(self)

    def translate(self, error: DBAPIError) -> DatabaseError:
        """Return our error for one of SQLAlchemy's."""
        from onetrip._core import classify

        found = classify.facts(error)
        # SQLAlchemy names the statement that failed; BEGIN, COMMIT and ROLLBACK have none.
        committing = not error.statement or any(hasattr(link, "carried_commit") for link in classify.chain(error))
        phase = Phase.COMMIT if committing else Phase.STATEMENT
        return classify.explain(found, classify.classify(found, phase), phase, self.where)

    def succeeded(self) -> None:
        """Forget the last failure: the database is there."""
        self._last_failure = None

    def noted(self, error: DatabaseError) -> DatabaseError:
        """Remember when and why no connection could be made."""
        if isinstance(error, ConnectFailed):
            self._last_failure = (time.monotonic(), error)
        return error

    def recent_failure(self, within: float) -> DatabaseError | None:
        """Return why the last attempt to connect failed, if that was less than ``within`` seconds ago."""
        if self._last_failure is None or time.monotonic() - self._last_failure[0] > within:
            return None
        return self._last_failure[1]

    def pause(self, error: DatabaseError, attempt: int) -> float:
        """Return the seconds to wait before the next attempt; raise the error where there is none."""
        from onetrip._core import backoff

        seconds = backoff.pause(error, attempt, random.random(), budget.remaining())
        if seconds is None:
            raise error
        return seconds

    def start_anew(self) -> None:
        """Leave the pool to the parent process, whose it is, and its locks with it."""
        self.ledger.start_anew()
        self.engine.dispose(close=False)

    def drain(self) -> None:
        """Close every idle connection."""
        self._pool.drain()

    def stats(self) -> PoolStats:
        """Return the figures of the pool."""
        return self.ledger.stats(self._pool)

    @property
    def _pool(self) -> TripPool:
        assert isinstance(self.engine.pool, TripPool)
        return self.engine.pool


class _Translating(AbstractContextManager[None]):
    """Be ``Runtime.translating()``: a class, because every session passes through it."""

    __slots__ = ("_runtime",)

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if error is None:
            self._runtime.succeeded()
        elif isinstance(error, DatabaseError):
            self._runtime.noted(error)
        elif isinstance(error, DBAPIError):
            from onetrip._core import classify

            raise self._runtime.noted(self._runtime.translate(error)) from classify.facts(error).driver_error
