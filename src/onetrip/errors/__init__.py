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

from onetrip.errors._base import (
    ConfigurationError,
    DatabaseError,
    LocalServerFailed,
    OnetripError,
    Phase,
    Retry,
    UnsafeUse,
)
from onetrip.errors._connecting import (
    AddressRefused,
    AuthenticationFailed,
    ConnectFailed,
    ConnectTimeout,
    DatabaseMissing,
    DatabaseUnreachable,
    DatabaseWaking,
    EndpointDisabled,
    EndpointUnknown,
    HostUnknown,
    QuotaExceeded,
    StartupRefused,
    TlsRefused,
    TooManyConnections,
)
from onetrip.errors._working import (
    CheckViolation,
    CommitUnknown,
    Conflict,
    ConnectionLost,
    DatabaseBusy,
    DatabaseClosed,
    DeadlineExceeded,
    DeadlockDetected,
    ExclusionViolation,
    ForeignKeyViolation,
    IntegrityViolation,
    InvalidData,
    InvalidStatement,
    LockTimeout,
    NotNullViolation,
    PermissionDenied,
    PreparedStatementLost,
    ReadOnlyViolation,
    SerializationFailure,
    SessionClosed,
    StalePlan,
    StatementTimeout,
    StorageFull,
    TooManyRows,
    UniqueViolation,
)

__all__ = [
    "AddressRefused",
    "AuthenticationFailed",
    "CheckViolation",
    "CommitUnknown",
    "ConfigurationError",
    "Conflict",
    "ConnectFailed",
    "ConnectTimeout",
    "ConnectionLost",
    "DatabaseBusy",
    "DatabaseClosed",
    "DatabaseError",
    "DatabaseMissing",
    "DatabaseUnreachable",
    "DatabaseWaking",
    "DeadlineExceeded",
    "DeadlockDetected",
    "EndpointDisabled",
    "EndpointUnknown",
    "ExclusionViolation",
    "ForeignKeyViolation",
    "HostUnknown",
    "IntegrityViolation",
    "InvalidData",
    "InvalidStatement",
    "LocalServerFailed",
    "LockTimeout",
    "NotNullViolation",
    "OnetripError",
    "PermissionDenied",
    "Phase",
    "PreparedStatementLost",
    "QuotaExceeded",
    "ReadOnlyViolation",
    "Retry",
    "SerializationFailure",
    "SessionClosed",
    "StalePlan",
    "StartupRefused",
    "StatementTimeout",
    "StorageFull",
    "TlsRefused",
    "TooManyConnections",
    "TooManyRows",
    "UniqueViolation",
    "UnsafeUse",
]

for _name in __all__:
    globals()[_name].__module__ = __name__  # where users import it from, and what a traceback shows
