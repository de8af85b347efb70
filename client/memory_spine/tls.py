"""Which certificates an https client trusts, and what it means when a handshake fails."""

import ssl
from collections.abc import Mapping

from memory_spine.errors import ConfigError


def tls_context(ca_file: str | None, environ: Mapping[str, str]) -> ssl.SSLContext | None:
    """Return what to trust: `ca_file`, else SPINE_CA_FILE, else None for the system's certificates.

    Raises:
        ConfigError: the file cannot be read or holds no certificate.
    """
    path = ca_file or environ.get("SPINE_CA_FILE")
    if not path:
        return None
    try:
        return ssl.create_default_context(cafile=path)
    except OSError as error:  # ssl.SSLError is one
        raise ConfigError(f"cannot trust the certificates in {path}: {error}") from error


def handshake_failure(cause: object) -> str | None:
    """Say what a failed handshake means; None when `cause` is none, so that something may be sent."""
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"{cause.verify_message}; ca_file or SPINE_CA_FILE says whom to trust"
    if isinstance(cause, ssl.SSLError) and cause.reason == "WRONG_VERSION_NUMBER":
        return "no TLS is spoken there; an address without it begins with http:"
    return None
