"""A certificate authority of the tests' own."""

import datetime as dt
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DAY = dt.timedelta(days=1)


@dataclass(frozen=True)
class Certificate:
    """A key and its certificate, both PEM."""

    key: bytes
    certificate: bytes

    def write(self, key: Path, certificate: Path) -> None:
        """Write both files, the key for its owner's eyes only."""
        key.touch(mode=0o600)
        key.write_bytes(self.key)
        certificate.write_bytes(self.certificate)


class Authority:
    """Signs server certificates; a client that does not know it must refuse them."""

    def __init__(self, name: str = "onetrip tests") -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        constraint = x509.BasicConstraints(ca=True, path_length=0)
        self._certificate = (
            self._builder(self._name, self._key)
            .add_extension(constraint, critical=True)
            .sign(self._key, hashes.SHA256())
        )

    @property
    def certificate(self) -> bytes:
        """Return the authority's own certificate, the one for ``sslrootcert``."""
        return self._certificate.public_bytes(serialization.Encoding.PEM)

    def issue(self, *hosts: str, lasts: dt.timedelta = DAY) -> Certificate:
        """Make a server certificate for names and addresses; one that ``lasts`` less than no time has expired."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hosts[0])])
        names = x509.SubjectAlternativeName([_general_name(host) for host in hosts])
        builder = self._builder(subject, key, lasts).add_extension(names, critical=False)
        certificate = builder.sign(self._key, hashes.SHA256())
        pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        return Certificate(key.private_bytes(pem, pkcs8, serialization.NoEncryption()), certificate.public_bytes(pem))

    def _builder(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, lasts: dt.timedelta = DAY
    ) -> x509.CertificateBuilder:
        end = dt.datetime.now(dt.UTC) + lasts
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(self._name).public_key(key.public_key())
        return builder.serial_number(x509.random_serial_number()).not_valid_before(end - 2 * DAY).not_valid_after(end)


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
