"""Which certificates an https client trusts, and what a failed handshake means."""

import ssl

from memory_spine.errors import ConfigError


def tls_context(ca_file: str | None) -> ssl.SSLContext | None:
    """Return what to trust; None for the system's certificates.

    Raises:
        ConfigError: the file cannot be read or holds no certificate.
    """
    if ca_file is None:
        return None
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:  # ssl.SSLError is one
        raise ConfigError(f"cannot trust the certificates in {ca_file}: {error}") from error


def handshake_failure(cause: object) -> str | None:
    """Say what a failed handshake means; None when `cause` is none, so that something may be sent."""
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"{cause.verify_message}; ca_file or SPINE_CA_FILE says whom to trust"
    if isinstance(cause, ssl.SSLError) and cause.reason == "WRONG_VERSION_NUMBER":
        return "no TLS is spoken there; an address without it begins with http:"
    return None


def hint_of_tls(url: str) -> str:
    """Return what to try when a server understood nothing: perhaps it expects TLS."""
    if url.startswith("http:"):
        return "; if the node serves TLS, its address begins with https:"
    return ""
