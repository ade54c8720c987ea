"""The TLS objects that drivers want, made from files."""

import os
import ssl
from collections.abc import Mapping
from pathlib import Path

from onetrip._core.tls import Tls
from onetrip.errors import ConfigurationError


def ca_bundle() -> str:
    """Return the file with CA certificates: PGSSLROOTCERT, libpq's own place in the home folder, else certifi's.

    The system's store is not among them: the OpenSSL inside the drivers' wheels does not find it.
    """
    named = os.environ.get("PGSSLROOTCERT", "")
    own = Path.home() / ".postgresql" / "root.crt"
    if named and named != "system":
        return named
    if own.is_file():
        return str(own)
    import certifi

    return certifi.where()


def libpq_version(driver: str) -> int:
    """Return the version of the libpq below a driver, as in 170000; 0 where there is none."""
    if driver == "psycopg":
        from psycopg import pq

        return pq.version()
    if driver == "psycopg2":
        import psycopg2

        return int(psycopg2.__libpq_version__)
    return 0


def ssl_argument(tls: Tls, files: Mapping[str, str]) -> ssl.SSLContext | str | bool:
    """Return asyncpg's ``ssl``: a mode's name where no file is needed, else a context.

    Raises ConfigurationError that names the file that cannot be read or is no certificate.
    """
    if tls.mode == "disable":
        return False
    if not tls.verifies and not files:
        return tls.mode
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = tls.mode == "verify-full"
    context.verify_mode = ssl.CERT_REQUIRED if tls.verifies else ssl.CERT_NONE
    context.minimum_version = _version(files.get("ssl_min_protocol_version", "TLSv1.2"))
    if files.get("sslnegotiation") == "direct":
        context.set_alpn_protocols(["postgresql"])
    if "ssl_max_protocol_version" in files:
        context.maximum_version = _version(files["ssl_max_protocol_version"])
    _load(context, tls, files)
    return context


def _load(context: ssl.SSLContext, tls: Tls, files: Mapping[str, str]) -> None:
    reading = tls.rootcert
    try:
        if reading:
            context.load_verify_locations(cafile=reading)
        if reading := files.get("sslcrl"):
            context.load_verify_locations(cafile=reading)
            context.verify_flags |= ssl.VERIFY_CRL_CHECK_CHAIN
        if reading := files.get("sslcert"):
            context.load_cert_chain(reading, files.get("sslkey"), lambda: files.get("sslpassword", ""))
    except OSError as error:  # ssl.SSLError is one
        raise ConfigurationError(
            f"the certificate file {reading} cannot be used: {error.strerror or error}",
            hint="check sslrootcert, sslcert, sslkey and sslcrl in the database URL",
        ) from error


def _version(name: str) -> ssl.TLSVersion:
    try:
        return ssl.TLSVersion[name.replace(".", "_")]
    except KeyError:
        raise ConfigurationError(f"{name!r} is not a TLS version", hint="TLSv1.2 or TLSv1.3") from None
