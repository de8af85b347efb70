"""Which certificates an https client trusts."""

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
