"""What goes wrong at the pool, in a statement, or at COMMIT."""

from __future__ import annotations

from onetrip.errors._base import DatabaseError, Phase, Retry


class DatabaseClosed(DatabaseError):
    """Refuse work on a Database after close()."""

    code = "database-closed"
    phase = Phase.CHECKOUT


class SessionClosed(DatabaseError):
    """Refuse work on a session that has ended, instead of silently opening it again."""

    code = "session-closed"
    hint = "open a session of its own: db.transaction(), db.read(), or db.background(work, …) in a background task"


class DatabaseBusy(DatabaseError):
    """Report that our own pool had no connection to give in time."""

    code = "database-busy"
    http_status = 503
    phase = Phase.CHECKOUT
    retry = Retry.LATER
    hint = "a longer queue helps nobody: raise DATABASE_POOL_MAX if the server allows it, or shorten transactions"


class DeadlineExceeded(DatabaseError):
    """Report that the time the caller gave is up."""

    code = "deadline-exceeded"
    http_status = 503
    retry = Retry.LATER


class ConnectionLost(DatabaseError):
    """Report an open connection that died; an unfinished transaction on it is rolled back by the server."""

    code = "connection-lost"
    http_status = 503
    retry = Retry.YES


class CommitUnknown(DatabaseError):
    """Report a COMMIT whose answer was lost: the transaction happened as a whole or not at all."""

    code = "commit-unknown"
    phase = Phase.COMMIT
    retry = Retry.UNKNOWN
    hint = "look for the effect before repeating it"


class PreparedStatementLost(DatabaseError):
    """Report SQLSTATE 26000 or 42P05: the statement was prepared on another server connection than it now meets."""

    code = "prepared-statement-lost"
    http_status = 503
    retry = Retry.YES
    hint = "a transaction pooler that was not recognised is in between: set DATABASE_POOLER=transaction"


class StalePlan(DatabaseError):
    """Report a prepared statement whose result changed its shape, as after a migration; prepared anew, it works."""

    code = "stale-plan"
    http_status = 503
    retry = Retry.YES


class Conflict(DatabaseError):
    """Report a transaction that lost against another one; repeat it as a whole."""

    code = "conflict"
    http_status = 409
    retry = Retry.YES
    hint = "db.run(work) repeats the whole transaction by itself"


class SerializationFailure(Conflict):
    """Report SQLSTATE 40001."""

    code = "serialization-failure"


class DeadlockDetected(Conflict):
    """Report SQLSTATE 40P01."""

    code = "deadlock-detected"


class StatementTimeout(DatabaseError):
    """Report a statement that ran into its time-out or was cancelled on the server."""

    code = "statement-timeout"
    http_status = 503
    hint = "look at the plan with EXPLAIN; or raise statement_timeout, and the deadline if one is in force"


class LockTimeout(DatabaseError):
    """Report a lock that was not free in time."""

    code = "lock-timeout"
    http_status = 503
    retry = Retry.LATER


class ReadOnlyViolation(DatabaseError):
    """Report a write inside a read-only transaction."""

    code = "read-only"
    hint = "use transaction() or WriteSession to write; read() and ReadSession are READ ONLY on the server"


class IntegrityViolation(DatabaseError):
    """Report a constraint that the data would have broken."""

    code = "integrity-violation"
    http_status = 409


class UniqueViolation(IntegrityViolation):
    """Report SQLSTATE 23505."""

    code = "unique-violation"


class ForeignKeyViolation(IntegrityViolation):
    """Report SQLSTATE 23503."""

    code = "foreign-key-violation"


class NotNullViolation(IntegrityViolation):
    """Report SQLSTATE 23502."""

    code = "not-null-violation"


class CheckViolation(IntegrityViolation):
    """Report SQLSTATE 23514."""

    code = "check-violation"


class ExclusionViolation(IntegrityViolation):
    """Report SQLSTATE 23P01."""

    code = "exclusion-violation"


class PermissionDenied(DatabaseError):
    """Report SQLSTATE 42501, row-level security included."""

    code = "permission-denied"
    http_status = 403
    hint = "grant the right to the role that the transaction runs under"


class StorageFull(DatabaseError):
    """Report SQLSTATE 53100: the server's disk, or the size that the plan allows, is used up."""

    code = "storage-full"
    http_status = 507
    hint = "free space or raise the plan's limit; reading still works"


class InvalidData(DatabaseError):
    """Report a value that PostgreSQL cannot store in the type it was given for."""

    code = "invalid-data"
    http_status = 422


class InvalidStatement(DatabaseError):
    """Report a statement that does not fit the schema or the grammar."""

    code = "invalid-statement"


class TooManyRows(DatabaseError):
    """Report a second row where fetch_one() promises at most one."""

    code = "too-many-rows"
    hint = "narrow the statement, add .limit(1), or use fetch_all()"
