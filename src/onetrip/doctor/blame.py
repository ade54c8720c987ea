"""Why a step on the way failed, and which line to change."""

from __future__ import annotations

import errno
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import psycopg

from onetrip._core import classify
from onetrip._core.endpoint import pooled_twin
from onetrip._core.url import Host
from onetrip.doctor.explain import explain_connect
from onetrip.doctor.findings import Finding, Level, Outcome
from onetrip.errors import AuthenticationFailed, ConnectTimeout, DatabaseMissing, DatabaseUnreachable, HostUnknown

if TYPE_CHECKING:
    from onetrip.doctor.certificate import Certificate, Place, Shown
    from onetrip.doctor.target import Target

SOON = timedelta(days=14)
_NO_ROUTE = {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}


class Stopped(Exception):
    """Carry the finding that ends the way; ``said`` is what the step's line shows."""

    def __init__(self, said: str, finding: Finding) -> None:
        super().__init__(said)
        self.said, self.finding = said, finding


def _stop(code: str, said: str, what: str, why: str, fix: str) -> Stopped:
    return Stopped(said, Finding(code, Level.WRONG, what, why, fix))


# DNS and TCP


def host_unknown(target: Target, names: list[str], said: str) -> Stopped:
    """Blame the host name."""
    return _stop(
        HostUnknown.code,
        said,
        f"DNS does not know {' or '.join(names)}: {said}",
        "A suspended database keeps its name, a deleted one does not; or this machine has no DNS.",
        f"correct the host in {target.line()}",
    )


def one_host_unknown(name: str) -> Finding:
    """Say that one of several hosts is unknown."""
    return Finding(HostUnknown.code, Level.NOTE, f"DNS does not know {name}, one of several hosts in the URL")


def unreachable(target: Target, failed: list[tuple[Place, OSError]]) -> Stopped:
    """Blame the port, the firewall, or IPv6."""
    words = "; ".join(f"{place}: {_words(error)}" for place, error in failed)
    if all(":" in str(place.address[0]) and error.errno in _NO_ROUTE for place, error in failed):
        return _ipv6_only(target, words)
    if all(isinstance(error, TimeoutError) for _, error in failed):
        return _stop(
            ConnectTimeout.code,
            words,
            f"nothing answers: {words}",
            "A firewall or an allow list drops the packets without a word, or the port is not the server's.",
            f"check the port in {target.line()} and the provider's allow list",
        )
    return _stop(
        DatabaseUnreachable.code,
        words,
        f"no server listens there: {words}",
        "The host is there and refuses: no server runs at that port, or it listens on another address.",
        f"correct host and port in {target.line()}, or start the server",
    )


def _ipv6_only(target: Target, words: str) -> Stopped:
    twin = pooled_twin(target.url) if target.endpoint.provider == "supabase" else None
    what = f"the host has IPv6 addresses only, and this machine has no route for IPv6: {words}"
    why = "Containers, CI runners and most serverless platforms speak IPv4 only."
    fix = "use a host name that has an IPv4 address, as poolers do"
    if twin:
        fix = "copy the pooler's URL (….pooler.supabase.com) from the console into DATABASE_URL: it has IPv4"
    return _stop("ipv6-only", words, what, why, fix)


def _words(error: OSError) -> str:
    return "no answer" if isinstance(error, TimeoutError) else (error.strerror or str(error)).lower()


def silent(target: Target, step: str, error: OSError) -> Stopped:
    """Blame a server that accepts and says nothing, or hangs up."""
    if not isinstance(error, TimeoutError):
        return _stop(
            DatabaseUnreachable.code,
            _words(error),
            f"the server hung up during {step}: {_words(error)}",
            "What listens there is no PostgreSQL, or a proxy whose server is gone.",
            f"check host and port in {target.line()}",
        )
    return _stop(
        ConnectTimeout.code,
        "no answer",
        f"the port is open, but nothing is said ({step})",
        "A database that wakes does that for a few seconds; else it is hung, or something else listens there.",
        f"run onetrip doctor again; if it stays silent, check host and port in {target.line()}",
    )


# TLS


def no_tls(target: Target, findings: list[Finding]) -> tuple[Outcome, str]:
    """Judge a server that offers no TLS."""
    mode = target.profile.tls.mode
    said = "the server offers none"
    if mode in {"prefer", "allow"}:
        return Outcome.SKIPPED, f"{said}, and none is needed on this machine"
    if mode == "disable":
        findings.append(Finding("plaintext", Level.NOTE, "the connection is not encrypted", _OPEN, _TURN_ON))
        return Outcome.SKIPPED, said
    fix = _TURN_ON
    if target.endpoint.is_local:
        fix = f"{target.line(target.url.with_params(sslmode='disable', channel_binding=None))}  (this machine only)"
    raise _stop("tls-refused", said, f"sslmode={mode} asks for TLS, and the server offers none", _OPEN, fix)


_OPEN = "Without TLS everybody on the way reads the password's proof and every row."
_TURN_ON = "turn TLS on at the server: ssl = on with ssl_cert_file and ssl_key_file in postgresql.conf"


def no_ca(target: Target, file: str, error: OSError) -> Stopped:
    """Blame a CA file that is not there, or holds no certificate."""
    said = f"{file}: {(error.strerror or str(error)).lower()}"
    what = f"the file with CA certificates cannot be used: {said}"
    where = "sslrootcert in " + target.line() if "sslrootcert" in target.url.params else "PGSSLROOTCERT"
    return _stop("tls-refused", said, what, "Nobody's certificate can be verified with it.", f"correct {where}")


def tls_failed(target: Target, said: str) -> Stopped:
    """Blame a handshake that came to nothing."""
    fix = f"check ssl_min_protocol_version, sslcert and sslrootcert in {target.line()}"
    return _stop("tls-refused", said, f"the TLS handshake failed: {said}", "Both sides must agree on a version.", fix)


def certificate(target: Target, shown: Shown, findings: list[Finding]) -> tuple[Outcome, str]:
    """Judge the certificate against what the URL demands."""
    mode, seen = target.profile.tls.mode, shown.certificate
    about = f"{shown.version}, issued by {seen.issuer}, valid until {seen.expires:%Y-%m-%d}"
    distrust = None if mode == "verify-ca" and shown.only_the_name else shown.distrust
    if mode == "disable":
        fix = target.line(target.url.with_params(sslmode="verify-full" if distrust is None else "require"))
        findings.append(Finding("plaintext", Level.WRONG, "sslmode=disable, though the server offers TLS", _OPEN, fix))
        return Outcome.SKIPPED, "sslmode=disable"
    if mode.startswith("verify-") and distrust:
        raise _distrusted(target, shown, distrust)
    if seen.expires - datetime.now(UTC) < SOON:
        findings.append(_expiring(seen, verified=mode.startswith("verify-")))
    if mode.startswith("verify-"):
        return Outcome.OK, f"{about}; {mode} against {target.profile.tls.rootcert}"
    findings.append(_unverified(target, distrust))
    return Outcome.OK, f"{about}; not verified ({mode})"


def _distrusted(target: Target, shown: Shown, distrust: str) -> Stopped:
    seen, url = shown.certificate, target.url
    what = f"the server's certificate does not hold: {distrust}"
    if "expired" in distrust:
        what = f"the server's certificate expired on {seen.expires:%Y-%m-%d}"
        fix = "renew the certificate at the server (ssl_cert_file), then reload it; do not lower sslmode instead"
    elif shown.only_the_name:
        host = url.hosts[0].name
        name = next((name for name in seen.names if "*" not in name and name != host), None)
        what = f"the server's certificate is for {', '.join(seen.names)}, not for {host}"
        moved = replace(url, hosts=(Host(name, url.hosts[0].port),)) if name else None
        fix = target.line(moved) if moved else f"use a host name that the certificate covers in {target.line()}"
    else:
        what += f" (issued by {seen.issuer}, checked against {target.profile.tls.rootcert})"
        fix = f"name the CA of {seen.issuer}: {target.line(url.with_params(sslrootcert='/path/to/its/ca.crt'))}"
    why = "Somebody in between could read and change everything; that is why it is refused."
    return _stop("tls-refused", distrust, what, why, fix)


def _expiring(seen: Certificate, *, verified: bool) -> Finding:
    gone = seen.expires < datetime.now(UTC)
    what = f"the server's certificate {'expired' if gone else 'expires'} on {seen.expires:%Y-%m-%d}"
    why = "Then no client that verifies it can connect." if verified else "Nobody verifies it here, so nobody notices."
    return Finding("certificate-expires", Level.NOTE, what, why, "renew the certificate at the server")


def _unverified(target: Target, distrust: str | None) -> Finding:
    if target.endpoint.is_local:
        return Finding("tls-unverified", Level.OK, "encrypted, not verified: this machine")
    if target.url.params.get("channel_binding") == "require":
        # SCRAM over this very TLS session: who stands in between cannot prove to know the password.
        return Finding("tls-unverified", Level.OK, "encrypted, not verified; channel binding proves who answers")
    better = target.url.with_params(sslmode="verify-full")
    if distrust is not None:
        better = better.with_params(sslrootcert="/path/to/the/provider/ca.crt")
    return Finding(
        "tls-unverified",
        Level.NOTE,
        "the connection is encrypted, but nobody checks who is at the other end",
        "sslmode=require takes any certificate; " + (distrust or "verify-full would hold here and now."),
        target.line(better),
    )


# Authentication and after


def refused(target: Target, error: BaseException, *, offers_tls: bool = True) -> Stopped:
    """Blame what the server, the pooler or the proxy said while connecting."""
    said = classify.plain(classify.facts(error).text) or type(error).__name__
    if not offers_tls and "no pg_hba.conf entry" in said:
        # A server says "no encryption" of every plaintext client, also where it has no encryption to give.
        error = psycopg.OperationalError(said.replace(", no encryption", ""))
    explained = explain_connect(error)
    fix = explained.step
    if explained.code == AuthenticationFailed.code:
        fix = f"write the right password in place of ***: {target.line()}"
    elif explained.code == DatabaseMissing.code:
        fix = f"CREATE DATABASE {target.url.database or target.url.user}, or correct the end of {target.line()}"
    elif explained.code == "startup-refused" and "options" not in target.url.params:
        if target.environment.get("PGOPTIONS"):
            fix = "unset PGOPTIONS: libpq sends it with every connection"
    elif explained.code == "startup-refused":
        fix = target.line(target.url.with_params(options=None)) + "  and ALTER ROLE … SET for what it said"
    elif explained.code == ConnectTimeout.code:
        fix = "DATABASE_CONNECT_TIMEOUT=30, if it sleeps; else look at the server: it accepts and stays silent"
    return _stop(explained.code, said, f"{explained.what.rstrip('.')}: {said}", explained.why, fix)


def woke(target: Target, seconds: float) -> Finding:
    """Say that the database slept, and whether the settings leave it the time to wake."""
    allowed = target.settings.connect_timeout
    what = f"the database slept: waking took about {seconds:.1f} s"
    if allowed > seconds * 2:
        return Finding("waking", Level.OK, f"{what}; DATABASE_CONNECT_TIMEOUT allows {allowed:g} s")
    fix = "DATABASE_CONNECT_TIMEOUT=30"
    return Finding("waking", Level.WRONG, f"{what}, and a connection may take {allowed:g} s", "Cold starts fail.", fix)
