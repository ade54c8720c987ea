"""What Neon's proxy says and decides, word for word from its public source: texts, routing, the start-up filter."""

import re
from collections.abc import Mapping

from .pgwire import Refusal

ZONES = ("us-east-2.aws.neon.tech", "c-2.us-east-2.aws.neon.tech")

# Made by the proxy itself.
INSECURE = "connection is insecure (try using `sslmode=require`)"
NO_ENDPOINT = (
    "Endpoint ID is not specified. Either please upgrade the postgres client library (libpq) for SNI support or pass "
    "the endpoint ID (first part of the domain name) as a parameter: '?options=endpoint%3D<endpoint-id>'. "
    "See more at https://neon.tech/sni"
)
INCONSISTENT = "Inconsistent project name inferred from SNI ('{}') and project option ('{}')."
MALFORMED = "Project name ('{}') must contain only alphanumeric characters and hyphen."
NO_USER = "Parameter 'user' is missing in startup packet."
WRONG_PASSWORD = "password authentication failed for user '{}'"
NO_COMPUTE = "Couldn't connect to compute node"
UNPOOLED = (
    ". Please use unpooled connection or remove this parameter from the startup package. More details: "
    "https://neon.tech/docs/connect/connection-errors#unsupported-startup-parameter"
)

# What refusing() may say.
QUOTA = "Your account or project has exceeded the compute time quota. Upgrade your plan to increase limits."
DISABLED = "The endpoint has been disabled. Enable it using Neon API and retry."
DISABLED_406 = "Control plane request failed: endpoint is disabled"
NOT_FOUND = "Control plane request failed: endpoint cannot be found"
UNAVAILABLE = (
    "Control plane request failed: endpoint is temporarily unavailable. Check your quotas and/or contact our support."
)
CONTROL_PLANE = "Control plane request failed"
ACTIVE_ENDPOINTS = (
    "You have exceeded the limit of concurrently active endpoints. Please suspend some endpoints and try again."
)
IP_NOT_ALLOWED = (
    "This IP address 203.0.113.9 is not allowed to connect to this endpoint. Please add it to the allowed list in the "
    "Neon console. Make sure to check for IPv4 or IPv6 addresses."
)
BLOCKED_NETWORK = "This connection is trying to access this endpoint from a blocked network."
NO_VPC = "VPC endpoint ID is not specified. This endpoint requires a VPC endpoint ID to connect."
TOO_MANY_CONNECTIONS = "Too many connections to this endpoint. Please try again later."
TOO_MANY_ATTEMPTS = "Too many connections attempts"
NO_PERMIT = (
    "Failed to acquire permit to connect to the database. Too many database connection attempts are currently ongoing."
)
SLOW_LOGIN = "Authentication timed out"

_FORWARDED = ("user", "database", "application_name", "replication")
_ROUTING = ("endpoint=", "project=")
_OWN_OPTION = re.compile(r"neon_\w+:.+")
_COMPAT = "neon_proxy_params_compat:true"
_UNSUPPORTED = re.compile(r"unsupported (options )?startup parameter")


def endpoint_of(name: str | None, options: str) -> str | None:
    """Return the endpoint that SNI, or else an option, names; None when neither does."""
    label, _, zone = (name or "").partition(".")
    by_name = label if zone in ZONES else None
    given = [piece.partition("=")[2] for piece in options.split() if piece.startswith(_ROUTING)]
    by_option = given[0] if len(given) == 1 else None
    if by_name and by_option and by_name != by_option:
        raise Refusal(INCONSISTENT.format(by_name, by_option))
    endpoint = by_name or by_option
    if endpoint and not re.fullmatch(r"[A-Za-z0-9-]+", endpoint):
        raise Refusal(MALFORMED.format(endpoint))
    return endpoint


def endpoint_and_password(password: str) -> tuple[str, str]:
    """Take ``endpoint=<id>;<password>`` apart, the way in for clients without SNI."""
    found = re.fullmatch(r"endpoint=([A-Za-z0-9-]+)[;$](.*)", password)
    if not found:
        raise Refusal(NO_ENDPOINT)
    return found[1], found[2]


def forwarded(parameters: Mapping[str, str]) -> dict[str, str]:
    """Return the start-up parameters that reach the compute; every other one vanishes without a word."""
    options = parameters.get("options", "").split()
    kept = dict(parameters) if _COMPAT in options else {n: parameters[n] for n in _FORWARDED if n in parameters}
    ours = " ".join(piece for piece in options if not piece.startswith(_ROUTING) and not _OWN_OPTION.fullmatch(piece))
    kept.pop("options", None)
    return kept | ({"options": ours} if ours else {}) | {"client_encoding": "UTF8"}


def reworded(refusal: Refusal, *, keeps_sqlstate: bool) -> Refusal:
    """Return what a client hears of an error that the compute raised while connecting: its text, little else."""
    text = refusal.text + (UNPOOLED if _UNSUPPORTED.search(refusal.text) else "")
    return Refusal(text, refusal.sqlstate if keeps_sqlstate else "XX000")
