"""What goes wrong before there is a connection."""

from __future__ import annotations

from onetrip.errors._base import DatabaseError, Phase, Retry


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
