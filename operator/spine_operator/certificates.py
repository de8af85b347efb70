"""The cluster's own authority and the one certificate that all its nodes show.

P-256 throughout: small, fast, and accepted by every TLS library. Times are ms since 1970.
Source: operator.md §7.9; RFC 5280 for the extensions that strict verifiers ask for.
"""

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUTHORITY_LIFE = timedelta(days=3650)
LEAF_LIFE = timedelta(days=90)
_BACKDATE = timedelta(minutes=5)  # a node's clock may be behind the operator's
_NO_USE = dict.fromkeys(
    (
        *("content_commitment", "key_encipherment", "data_encipherment", "key_agreement"),
        *("encipher_only", "decipher_only", "digital_signature", "key_cert_sign", "crl_sign"),
    ),
    False,
)


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A certificate and its private key, both as PEM text."""

    certificate: str
    key: str


def make_authority(cluster: str, now_ms: int) -> KeyPair:
    """Return a new self-signed authority that may sign leaves and no further authorities."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name(f"{cluster} authority")
    builder = (
        _builder(name, name, key, now_ms, AUTHORITY_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(key_cert_sign=True, crl_sign=True), critical=True)
    )
    return _sign(builder, key, key)


def make_leaf(authority: KeyPair, names: tuple[str, ...], now_ms: int) -> KeyPair:
    """Return a new certificate for `names` (host names, wildcards or IP addresses)."""
    signer_key = serialization.load_pem_private_key(authority.key.encode(), password=None)
    assert isinstance(signer_key, EllipticCurvePrivateKey), "we make P-256 authorities only"
    signer = x509.load_pem_x509_certificate(authority.certificate.encode())
    signer_id = signer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    key = ec.generate_private_key(ec.SECP256R1())
    # Nodes meet each other with the same certificate on both ends of a link.
    purposes = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    builder = (
        _builder(_name("memory-spine"), signer.subject, key, now_ms, LEAF_LIFE)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(digital_signature=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(signer_id),
            critical=False,
        )
        .add_extension(x509.SubjectAlternativeName([_alias(n) for n in names]), critical=False)
    )
    return _sign(builder, key, signer_key)


def expires_ms(certificate: str) -> int:
    """Return when a PEM certificate expires.

    Raises:
        ValueError: the text is no certificate.
    """
    parsed = x509.load_pem_x509_certificate(certificate.encode())
    return int(parsed.not_valid_after_utc.timestamp() * 1000)


def stands_for(certificate: str, names: tuple[str, ...]) -> bool:
    """Return whether a PEM certificate names all of these hosts, and perhaps others."""
    parsed = x509.load_pem_x509_certificate(certificate.encode())
    try:
        found = parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return False
    return {_alias(name) for name in names} <= set(found)


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _alias(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _usage(**granted: bool) -> x509.KeyUsage:
    return x509.KeyUsage(**{**_NO_USE, **granted})


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: EllipticCurvePrivateKey,
    now_ms: int,
    life: timedelta,
) -> x509.CertificateBuilder:
    now = datetime.fromtimestamp(now_ms / 1000, UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATE)
        .not_valid_after(now + life)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _sign(
    builder: x509.CertificateBuilder,
    key: EllipticCurvePrivateKey,
    signer: EllipticCurvePrivateKey,
) -> KeyPair:
    certificate = builder.sign(signer, hashes.SHA256())
    return KeyPair(
        certificate=certificate.public_bytes(serialization.Encoding.PEM).decode(),
        key=key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ).decode(),
    )
