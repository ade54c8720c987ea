"""The description of TLS becomes the object that asyncpg wants."""

import ssl
from pathlib import Path

import certifi
import pytest

from onetrip._core.tls import Tls
from onetrip._engine.tls import ca_bundle, ssl_argument
from onetrip.errors import ConfigurationError


@pytest.mark.parametrize(("mode", "argument"), [("disable", False), ("prefer", "prefer"), ("require", "require")])
def test_a_mode_without_files_is_passed_on(mode: str, argument: object) -> None:
    """Of these modes asyncpg knows how, falling back to plaintext for prefer included."""
    assert ssl_argument(Tls(mode), {}) == argument


@pytest.mark.parametrize(("mode", "checks_host"), [("verify-ca", False), ("verify-full", True)])
def test_verifying_needs_a_certificate_of_the_bundle(mode: str, checks_host: bool) -> None:
    """Both modes check the certificate, verify-full the host's name as well; TLS 1.2 is the least."""
    context = ssl_argument(Tls(mode, certifi.where()), {})
    assert isinstance(context, ssl.SSLContext)
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname is checks_host
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert context.cert_store_stats()["x509_ca"] > 50


def test_protocol_versions_are_kept() -> None:
    """``ssl_min_protocol_version`` means what libpq means by it, and a wrong one is refused."""
    context = ssl_argument(Tls("require"), {"ssl_min_protocol_version": "TLSv1.3"})
    assert isinstance(context, ssl.SSLContext)
    assert context.minimum_version is ssl.TLSVersion.TLSv1_3
    with pytest.raises(ConfigurationError, match="'TLSv9' is not a TLS version"):
        ssl_argument(Tls("require"), {"ssl_max_protocol_version": "TLSv9"})


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_a_file_that_cannot_be_used_is_named(tmp_path: Path, content: str | None) -> None:
    """A missing or broken CA file is our error, with its name."""
    path = tmp_path / "ca.pem"
    if content:
        path.write_text(content)
    with pytest.raises(ConfigurationError, match=r"ca\.pem cannot be used"):
        ssl_argument(Tls("verify-full", str(path)), {})


def test_the_bundle_is_the_users_own_before_certifis(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """PGSSLROOTCERT, then libpq's place in the home folder, then certifi."""
    monkeypatch.setenv("HOME", str(tmp_path))
    assert ca_bundle() == certifi.where()
    own = tmp_path / ".postgresql" / "root.crt"
    own.parent.mkdir()
    own.touch()
    assert ca_bundle() == str(own)
    monkeypatch.setenv("PGSSLROOTCERT", "/named.pem")
    assert ca_bundle() == "/named.pem"
    monkeypatch.setenv("PGSSLROOTCERT", "system")
    assert ca_bundle() == str(own)
