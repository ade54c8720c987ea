"""How well a connection is protected: never less than the URL asked for, and what differs is said.

Source of the modes: https://www.postgresql.org/docs/current/libpq-ssl.html, "SSL Mode Descriptions".
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from onetrip._core.endpoint import Endpoint
from onetrip.errors import ConfigurationError

MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_TRUE = {"true", "1", "yes", "on"}
_FALSE = {"false", "0", "no", "off"}


class Tls(NamedTuple):
    """Describe the TLS of one connection; ``rootcert`` is a file with CA certificates, None where none is checked."""

    mode: str
    rootcert: str | None = None

    @property
    def is_demanded(self) -> bool:
        """Say whether there is no connection without it."""
        return self.mode == "require" or self.verifies

    @property
    def verifies(self) -> bool:
        """Say whether the server has to show a certificate that one of ours signed."""
        return self.mode.startswith("verify-")


def choose_tls(
    params: Mapping[str, str], endpoint: Endpoint, *, ca_bundle: Callable[[], str], binds_channel: bool
) -> tuple[Tls, tuple[str, ...]]:
    """Decide the mode and the CA file, and say in notes what became stronger than written.

    ``binds_channel``: the driver knows ``channel_binding``; where it does not, ``require`` becomes ``verify-full``.
    """
    notes: list[str] = []
    root = params.get("sslrootcert") or None
    mode = _requested(params, notes) or _default(endpoint, root)
    if mode in {"allow", "prefer"} and not endpoint.is_local:
        notes.append(f"sslmode={mode} became require: on a remote host it would fall back to plaintext silently")
        mode = "require"
    if params.get("channel_binding") == "require" and not binds_channel and mode != "verify-full":
        notes.append("channel_binding=require became sslmode=verify-full: asyncpg has no channel binding")
        mode = "verify-full"
    if root and mode == "require":
        mode = "verify-full" if root == "system" else "verify-ca"  # as libpq reads the two together
    if mode.startswith("verify-") and root in {None, "system"}:
        bundle = ca_bundle()
        if root:
            notes.append(f"sslrootcert=system became {bundle}: the drivers' wheels do not find the system's store")
        root = bundle
    return Tls(mode, root), tuple(notes)


def _default(endpoint: Endpoint, root: str | None) -> str:
    if root == "system":
        return "verify-full"
    if endpoint.is_local:
        return "prefer"  # not "disable": a local server may insist on TLS
    # A private network's name (*.railway.internal, *.flycast, Render's dpg-…-a) proves nothing about the network, and
    # its certificate is the server's own: "require" holds there, "verify-full" cannot. Who wants it in clear says so.
    return "verify-full" if endpoint.public_ca else "require"


def _requested(params: Mapping[str, str], notes: list[str]) -> str | None:
    """Read ``sslmode``, or ``ssl`` as JDBC, node and asyncpg spell it; None is "not said"."""
    if "sslmode" not in params and "ssl" not in params:
        return None
    name = "sslmode" if "sslmode" in params else "ssl"
    value = params[name].lower()
    if name == "ssl" and value in _TRUE:
        return "require"
    if name == "ssl" and value in _FALSE:
        return "disable"
    if value == "no-verify":
        notes.append("sslmode=no-verify became require, libpq's word for the same")
        return "require"
    if value not in MODES:
        raise ConfigurationError(f"{name} in the database URL is not a TLS mode", hint=f"one of {', '.join(MODES)}")
    return value
