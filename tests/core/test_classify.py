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
        ('FATAL:  no pg_hba.conf entry for host "1.2.3.4", user "a", SSL encryption', errors.AuthenticationFailed),
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


def test_a_loop_of_causes_ends() -> None:
    """An exception that is its own cause is read once."""
    error = DriverError("x", "23505")
    error.__cause__ = error
    assert facts(error).sqlstate == "23505"
