"""How a driver's exception is read, without a server: texts that a test server cannot be made to say."""

import pytest

from onetrip import errors
from onetrip._core.classify import classify, explain, facts
from onetrip.errors import Phase


class DriverError(Exception):
    """Stand for a driver's exception."""

    def __init__(self, text: str, sqlstate: str | None = None) -> None:
        super().__init__(text)
        self.sqlstate = sqlstate


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ('FATAL:  no pg_hba.conf entry for host "1.2.3.4", user "a", database "b", no encryption', errors.TlsRefused),
        ('FATAL:  no pg_hba.conf entry for host "1.2.3.4", user "a", SSL encryption', errors.AddressRefused),
        ("SSL error: certificate verify failed", errors.TlsRefused),
        ('root certificate file "/x" does not exist', errors.TlsRefused),
        ('server certificate for "a" does not match host name "b"', errors.TlsRefused),
        ("connection is insecure (try using `sslmode=require`)", errors.TlsRefused),
        ("FATAL:  the database system is starting up", errors.DatabaseWaking),
        ("Couldn't connect to compute node", errors.DatabaseWaking),
        ("FATAL:  sorry, too many clients already", errors.TooManyConnections),
        ("FATAL:  remaining connection slots are reserved for roles with SUPERUSER", errors.TooManyConnections),
        ("Max client connections reached", errors.TooManyConnections),
        ("could not connect: Network is unreachable", errors.DatabaseUnreachable),
        ("server closed the connection unexpectedly", errors.DatabaseUnreachable),
        ("timeout expired", errors.ConnectTimeout),
        ("password authentication failed for user 'neondb_owner'", errors.AuthenticationFailed),
        ("Endpoint ID is not specified. Either please upgrade the postgres client library", errors.EndpointUnknown),
        ("Inconsistent project name inferred from SNI ('a') and project option ('b').", errors.EndpointUnknown),
        ("Control plane request failed: endpoint cannot be found", errors.EndpointUnknown),
        ("FATAL:  Tenant or user not found", errors.EndpointUnknown),
        ("Control plane request failed: endpoint is disabled", errors.EndpointDisabled),
        ("The endpoint has been disabled. Enable it using Neon API and retry.", errors.EndpointDisabled),
        ("This IP address 1.2.3.4 is not allowed to connect to this endpoint.", errors.AddressRefused),
        ("This connection is trying to access this endpoint from a blocked network.", errors.AddressRefused),
        ("VPC endpoint ID is not specified. This endpoint requires a VPC endpoint ID", errors.AddressRefused),
        ("Your account or project has exceeded the compute time quota. Upgrade your plan", errors.QuotaExceeded),
        ("You have exceeded the limit of concurrently active endpoints.", errors.QuotaExceeded),
        ("endpoint is temporarily unavailable. Check your quotas and/or contact our support.", errors.DatabaseWaking),
        ("Control plane request failed", errors.DatabaseWaking),
        ("Too many connections to this endpoint. Please try again later.", errors.TooManyConnections),
        ("Too many connections attempts", errors.TooManyConnections),
        (
            "Failed to acquire permit to connect to the database. Too many database connection attempts.",
            errors.TooManyConnections,
        ),
        ("FATAL:  no more connections allowed (max_client_conn)", errors.TooManyConnections),
        ("FATAL:  unsupported startup parameter in options: search_path", errors.StartupRefused),
        ("unsupported startup parameter: jit", errors.StartupRefused),
        ("FATAL:  client_login_timeout (server down)", errors.DatabaseWaking),
        ("server login has been failing, cached error: connect failed (server_login_retry)", errors.DatabaseWaking),
        ('FATAL:  database "quota" does not exist', errors.DatabaseMissing),
        ("something that nobody has heard of", errors.ConnectFailed),
    ],
)
def test_connect_texts(text: str, kind: type[errors.DatabaseError]) -> None:
    """Libpq gives no SQLSTATE before the first query: the text alone says what happened."""
    assert classify(facts(DriverError(text)), Phase.CONNECT) is kind


@pytest.mark.parametrize(
    ("error", "phase", "kind"),
    [
        (DriverError("gone", "57P01"), Phase.STATEMENT, errors.ConnectionLost),
        (DriverError("gone", "57P01"), Phase.COMMIT, errors.CommitUnknown),
        (DriverError("gone", "57P01"), Phase.CONNECT, errors.DatabaseWaking),
        (DriverError("received 2 results from command 'COMMIT'"), Phase.COMMIT, errors.CommitUnknown),
        (DriverError("The endpoint has been disabled.", "28000"), Phase.CONNECT, errors.EndpointDisabled),
        (DriverError("Couldn't connect to compute node", "XX000"), Phase.CONNECT, errors.DatabaseWaking),
        (DriverError("anything at all", "28P01"), Phase.CONNECT, errors.AuthenticationFailed),
        (DriverError("anything at all", "08P01"), Phase.CONNECT, errors.ConnectFailed),
        (DriverError("query_wait_timeout", "08P01"), Phase.STATEMENT, errors.TooManyConnections),
        (DriverError("cached plan must not change result type", "0A000"), Phase.STATEMENT, errors.StalePlan),
        (DriverError("prepared statement x does not exist", "26000"), Phase.STATEMENT, errors.PreparedStatementLost),
        (DriverError("could not extend file", "53100"), Phase.STATEMENT, errors.StorageFull),
        (DriverError("SSL connection has been closed unexpectedly"), Phase.STATEMENT, errors.ConnectionLost),
        (DriverError("SSL SYSCALL error: EOF detected"), Phase.COMMIT, errors.CommitUnknown),
        (DriverError("x", "23505"), Phase.COMMIT, errors.UniqueViolation),
        (DriverError("x", "23999"), Phase.STATEMENT, errors.IntegrityViolation),
        (DriverError("x", "XX000"), Phase.STATEMENT, errors.DatabaseError),
        (DriverError("the connection is closed", "P0001"), Phase.STATEMENT, errors.DatabaseError),
    ],
)
def test_the_phase_decides(error: DriverError, phase: Phase, kind: type[errors.DatabaseError]) -> None:
    """The same death is harmless before COMMIT, unknown at COMMIT, and waking while connecting."""
    assert classify(facts(error), phase) is kind


def test_every_class_of_the_tree_can_be_explained() -> None:
    """Whatever the class, the message has one line of what happened and one that says what to do."""
    found = facts(DriverError('connection to server at "h" failed: FATAL:  it broke\nDETAIL: more'))
    told = explain(found, errors.AuthenticationFailed, Phase.CONNECT, "h:5432/app")
    assert str(told).splitlines() == [
        "could not connect to h:5432/app: it broke [authentication-failed]",
        "  → check user and password in DATABASE_URL; special characters in them must be percent-encoded",
    ]


def test_a_transaction_left_idle_is_not_worth_a_retry() -> None:
    """Every repeat would wait as long again; another lost connection is repeated."""
    for state, verdict in {"25P03": errors.Retry.NO, "57P01": errors.Retry.YES}.items():
        told = explain(facts(DriverError("terminating connection", state)), errors.ConnectionLost, Phase.STATEMENT, "h")
        assert told.retry is verdict


def test_a_loop_of_causes_ends() -> None:
    """An exception that is its own cause is read once."""
    error = DriverError("x", "23505")
    error.__cause__ = error
    assert facts(error).sqlstate == "23505"
