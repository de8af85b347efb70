"""The TLS contexts of a node: its certificate for both ends, its authority for whom it trusts.

`tls.crt`, `tls.key` and `ca.crt` in one directory, as a Kubernetes Secret mounts them. Clients of
the API need no certificate; links do, which their end point checks (`LinkServer`).
"""

import ssl
from dataclasses import dataclass
from pathlib import Path

from spine_core.errors import InvalidInputError


@dataclass(frozen=True, slots=True)
class TlsContexts:
    """One context for accepting connections, one for dialling peers."""

    server: ssl.SSLContext
    client: ssl.SSLContext

    @classmethod
    def load(cls, directory: Path) -> "TlsContexts":
        """Read the certificates of a directory.

        Raises:
            InvalidInputError: one is missing or unusable; the message names the directory.
        """
        try:
            server = ssl.create_default_context(
                ssl.Purpose.CLIENT_AUTH, cafile=directory / "ca.crt"
            )
            server.verify_mode = ssl.CERT_OPTIONAL
            client = ssl.create_default_context(cafile=directory / "ca.crt")
            for context in (server, client):
                context.load_cert_chain(directory / "tls.crt", directory / "tls.key")
        except (OSError, ssl.SSLError) as error:
            message = f"needs tls.crt, tls.key and ca.crt that fit ({error})"
            raise InvalidInputError(message, path=str(directory)) from error
        return cls(server, client)
