"""Everything that can go wrong, as one tree.

::

    OnetripError
    ├── ConfigurationError              a setting, a URL or a call is wrong; nothing was sent
    │   └── UnsafeUse                   the call would break a promise (commit after the response, …)
    ├── LocalServerFailed               the embedded server could not be made, started or stopped
    └── DatabaseError                   what failed · phase · sqlstate · retry · http_status · hint
        ├── DatabaseClosed              this Database object was closed
        ├── SessionClosed               this session ended; a background task needs its own
        ├── ConnectFailed               no connection could be made
        │   ├── HostUnknown             DNS does not know the host
        │   ├── DatabaseUnreachable     refused, no route, or silent
        │   ├── ConnectTimeout          no answer in time
        │   ├── TlsRefused              TLS was asked for and not given, or a certificate did not hold
        │   ├── AuthenticationFailed    wrong password, role or method
        │   ├── AddressRefused          this machine's address, or this user from it, may not connect
        │   ├── DatabaseMissing         the server has no such database
        │   ├── EndpointUnknown         the provider's proxy cannot tell which database is meant
        │   ├── EndpointDisabled        switched off at the provider; it does not wake
        │   ├── QuotaExceeded           the plan's compute time or number of computes is used up
        │   ├── StartupRefused          the pooler does not take a start-up parameter
        │   ├── TooManyConnections      the server has no slot left
        │   └── DatabaseWaking          starting up, shutting down or suspended: soon
        ├── DatabaseBusy                our own pool had no connection in time
        ├── DeadlineExceeded            the caller's time was up
        ├── ConnectionLost              an open connection died
        ├── CommitUnknown               the answer to COMMIT was lost
        ├── PreparedStatementLost       a transaction pooler swapped the server below a prepared statement
        ├── StalePlan                   the schema changed below a prepared statement
        ├── Conflict                    run it again
        │   ├── SerializationFailure    40001
        │   └── DeadlockDetected        40P01
        ├── StatementTimeout            57014: statement_timeout, or cancelled
        ├── LockTimeout                 55P03
        ├── ReadOnlyViolation           25006: a write inside read()
        ├── IntegrityViolation          class 23
        │   ├── UniqueViolation         23505
        │   ├── ForeignKeyViolation     23503
        │   ├── NotNullViolation        23502
        │   ├── CheckViolation          23514
        │   └── ExclusionViolation      23P01
        ├── PermissionDenied            42501
        ├── StorageFull                 53100
        ├── InvalidData                 class 22
        ├── InvalidStatement            class 42 and the like
        └── TooManyRows                 fetch_one() met a second row
"""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar


class Phase(StrEnum):
    """Where in the life of a transaction something failed."""

    CHECKOUT = "checkout"
    CONNECT = "connect"
    STATEMENT = "statement"
    COMMIT = "commit"


class Retry(StrEnum):
    """Whether the same unit of work may be tried again."""

    NO = "no"
    """It fails again until something is changed."""
    YES = "yes"
    """Nothing of it happened; the whole transaction may be repeated at once."""
    LATER = "later"
    """Nothing of it happened; repeat it after a pause."""
    UNKNOWN = "unknown"
    """It may have happened; look before you repeat."""


class OnetripError(Exception):
    """The root of the tree: catch it to catch all of ours."""

    code: ClassVar[str] = "onetrip"
    hint: str | None = None

    def __init__(self, what: str, *, hint: str | None = None) -> None:
        super().__init__(what)
        self.what = what
        if hint is not None:
            self.hint = hint

    def __str__(self) -> str:
        return f"{self.what} [{self.code}]" + (f"\n  → {self.hint}" if self.hint else "")

    @property
    def line(self) -> str:
        """Return the whole of it in one line, for a command's last words."""
        return self.what + (f" → {self.hint}" if self.hint else "") + f" [{self.code}]"


class ConfigurationError(OnetripError):
    """Say which setting, URL or call is wrong and what to write instead; nothing was sent."""

    code = "configuration"


class UnsafeUse(ConfigurationError):
    """Refuse a use that would break a promise, and name the line to change."""

    code = "unsafe-use"


class LocalServerFailed(OnetripError):
    """Report an embedded server that could not be made, started or stopped; its data folder is named."""

    code = "local-server"


class DatabaseError(OnetripError):
    """Carry what failed, where, and what may be done; the driver's own exception is ``__cause__``."""

    code = "database-error"
    http_status: ClassVar[int] = 500
    retry: Retry = Retry.NO
    phase: Phase = Phase.STATEMENT

    def __init__(
        self,
        what: str,
        *,
        phase: Phase | None = None,
        sqlstate: str | None = None,
        retry: Retry | None = None,
        hint: str | None = None,
        constraint: str | None = None,
    ) -> None:
        super().__init__(what, hint=hint)
        self.sqlstate = sqlstate
        self.constraint = constraint
        if phase is not None:
            self.phase = phase
        if retry is not None:
            self.retry = retry


class DatabaseClosed(DatabaseError):
    """Refuse work on a Database after close()."""

    code = "database-closed"
    phase = Phase.CHECKOUT


class SessionClosed(DatabaseError):
    """Refuse work on a session that has ended, instead of silently opening it again."""

    code = "session-closed"
    hint = "open a session of its own: db.transaction(), db.read(), or db.background(work, …) in a background task"


class ConnectFailed(DatabaseError):
    """Report that no connection could be made."""

    code = "connect-failed"
    http_status = 503
    phase = Phase.CONNECT


class HostUnknown(ConnectFailed):
    """Report a host name that DNS does not know."""

    code = "host-unknown"
    hint = "check the host in DATABASE_URL; a suspended database keeps its name, a deleted one does not"


class DatabaseUnreachable(ConnectFailed):
    """Report a host that refused, had no route, or hung up during the handshake."""

    code = "database-unreachable"
    retry = Retry.LATER
    hint = "is a server listening at that host and port, and may this machine reach it?"


class ConnectTimeout(ConnectFailed):
    """Report a host that did not answer in time."""

    code = "connect-timeout"
    retry = Retry.LATER
    hint = "a firewall that drops packets, or a compute that takes longer to wake than DATABASE_CONNECT_TIMEOUT"


class TlsRefused(ConnectFailed):
    """Report TLS that was asked for and not given, or a certificate that did not hold."""

    code = "tls-refused"
    hint = "sslmode in DATABASE_URL asks for more than the server offers; only a local server may do without TLS"


class AuthenticationFailed(ConnectFailed):
    """Report a password, role or method that the server did not accept."""

    code = "authentication-failed"
    http_status = 500
    hint = "check user and password in DATABASE_URL; special characters in them must be percent-encoded"


class DatabaseMissing(ConnectFailed):
    """Report a database name that the server does not have."""

    code = "database-missing"
    http_status = 500
    hint = "check the last part of DATABASE_URL, or create the database"


class AddressRefused(ConnectFailed):
    """Report a server or provider that lets nobody in from here: an allow list, a network policy, or pg_hba.conf."""

    code = "address-refused"
    http_status = 500
    hint = "add this machine's public address to the provider's allow list, or a line to the server's pg_hba.conf"


class EndpointUnknown(ConnectFailed):
    """Report a provider's proxy that cannot tell which database is meant, or has none of that name."""

    code = "endpoint-unknown"
    http_status = 500
    hint = "copy the URL again from the provider's console; keep its host name: an IP address hides which one is meant"


class EndpointDisabled(ConnectFailed):
    """Report a compute that was switched off at the provider: no connection wakes it."""

    code = "endpoint-disabled"
    hint = "enable the endpoint in the provider's console or API"


class QuotaExceeded(ConnectFailed):
    """Report a plan whose compute time, or number of computes, is used up; repeating it does not help."""

    code = "quota-exceeded"
    hint = "raise the plan's limit at the provider, or wait for the next period; what keeps a compute awake uses it up"


class StartupRefused(ConnectFailed):
    """Report a pooler that does not take a start-up parameter of the URL."""

    code = "startup-refused"
    http_status = 500
    hint = "remove the parameter from options= in DATABASE_URL: use local=, ALTER ROLE … SET, or the direct URL"


class TooManyConnections(ConnectFailed):
    """Report a server, role or pooler without a free connection slot."""

    code = "too-many-connections"
    retry = Retry.LATER
    hint = "lower DATABASE_POOL_MAX or the number of workers, or use the provider's pooled URL"


class DatabaseWaking(ConnectFailed):
    """Report a server that is starting up, shutting down or waking from suspension."""

    code = "database-waking"
    retry = Retry.LATER
    hint = "try again in a moment"


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
    hint = "raise statement_timeout for this transaction, or look at the plan with EXPLAIN"


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
