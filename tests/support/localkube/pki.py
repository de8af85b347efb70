"""A throw-away certificate authority (P-256) in one directory, as kubeadm would lay it out.

Invariant: every component has a certificate of its own, and with it an RBAC identity of its own.
"""

import datetime as dt
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from localkube.clock import utc_now

VALID_FOR = dt.timedelta(days=30)
BOTH_ENDS = [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]


@dataclass(frozen=True, slots=True)
class Pki:
    """`NAME.crt` and `NAME.key` per certificate; `ca` signs them, `sa` signs account tokens."""

    directory: Path

    def create(self) -> None:
        """Make the authority and the key of the ServiceAccount tokens."""
        self.directory.mkdir(parents=True)
        key = self._new_key("ca")
        name = _name("local-kube")
        builder = _builder(name, name, key.public_key())
        builder = builder.add_extension(
            x509.BasicConstraints(ca=True, path_length=0), critical=True
        )
        self._write("ca.crt", _pem(builder.sign(key, hashes.SHA256())))
        self._write("sa.pub", _public_pem(self._new_key("sa").public_key()))

    def issue(
        self, name: str, common_name: str, organization: str = "", addresses: Sequence[str] = ()
    ) -> None:
        """Make a certificate for both ends of TLS, good for these addresses and DNS names."""
        authority = x509.load_pem_x509_certificate(self.file("ca.crt").read_bytes())
        signer = serialization.load_pem_private_key(self.file("ca.key").read_bytes(), None)
        assert isinstance(signer, ec.EllipticCurvePrivateKey)
        public = self._new_key(name).public_key()
        builder = _builder(_name(common_name, organization), authority.subject, public)
        builder = builder.add_extension(x509.ExtendedKeyUsage(BOTH_ENDS), critical=False)
        if addresses:
            names = x509.SubjectAlternativeName([_general_name(text) for text in addresses])
            builder = builder.add_extension(names, critical=False)
        self._write(f"{name}.crt", _pem(builder.sign(signer, hashes.SHA256())))

    def file(self, name: str) -> Path:
        """Return the path of a file of this authority."""
        return self.directory / name

    def _new_key(self, name: str) -> ec.EllipticCurvePrivateKey:
        key = ec.generate_private_key(ec.SECP256R1())
        plain = serialization.NoEncryption()
        traditional = serialization.PrivateFormat.TraditionalOpenSSL
        data = key.private_bytes(serialization.Encoding.PEM, traditional, plain)
        self._write(f"{name}.key", data)
        return key

    def _write(self, name: str, data: bytes) -> None:
        path = self.file(name)
        path.touch(mode=0o600)
        path.write_bytes(data)


def _name(common_name: str, organization: str = "") -> x509.Name:
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
    if organization:  # Kubernetes reads it as the user's group
        parts.insert(0, x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
    return x509.Name(parts)


def _builder(
    subject: x509.Name, issuer: x509.Name, public_key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = utc_now()
    return x509.CertificateBuilder(
        issuer_name=issuer,
        subject_name=subject,
        public_key=public_key,
        serial_number=x509.random_serial_number(),
        not_valid_before=now - dt.timedelta(minutes=1),
        not_valid_after=now + VALID_FOR,
    )


def _general_name(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _public_pem(key: ec.EllipticCurvePublicKey) -> bytes:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_bytes(serialization.Encoding.PEM, form)
