"""The TLS contexts of a node: its certificate for both ends, its authority for whom it trusts.

`tls.crt`, `tls.key` and `ca.crt` in one directory, as a Kubernetes Secret mounts them. Clients of
the API need no certificate; links do, which their end point checks (`LinkServer`). A renewed
certificate is taken over while the node runs: new connections show it, old ones live on.
"""

import logging
import ssl
from dataclasses import dataclass
from pathlib import Path

from spine_core.errors import InvalidInputError

logger = logging.getLogger("spine.links")

FILES = ("tls.crt", "tls.key", "ca.crt")


@dataclass(slots=True)
class TlsContexts:
    """One context for accepting connections, one for dialling peers."""

    server: ssl.SSLContext
    client: ssl.SSLContext
    directory: Path
    loaded: tuple[bytes, ...]  # what the files said

    @classmethod
    def load(cls, directory: Path) -> "TlsContexts":
        """Read the certificates of a directory.

        Raises:
            InvalidInputError: one is missing or unusable; the message names the directory.
        """
        try:
            server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            server.verify_mode = ssl.CERT_OPTIONAL
            client = ssl.create_default_context(cafile=directory / "ca.crt")
            contexts = cls(server, client, directory, ())
            contexts._take_over()
        except (OSError, ssl.SSLError) as error:
            message = f"needs tls.crt, tls.key and ca.crt that fit ({error})"
            raise InvalidInputError(message, path=str(directory)) from error
        return contexts

    def refresh(self) -> None:
        """Take over files that have changed; broken ones leave everything as it was."""
        try:
            if self._read() != self.loaded:
                self._take_over()
                logger.info("certificates_loaded", extra={"directory": str(self.directory)})
        except (OSError, ssl.SSLError) as error:
            logger.error("certificates_refused", extra={"why": str(error)})

    def _take_over(self) -> None:
        found = self._read()
        trial = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)  # a pair that does not fit stays out
        for context in (trial, self.server, self.client):
            context.load_cert_chain(self.directory / "tls.crt", self.directory / "tls.key")
            context.load_verify_locations(self.directory / "ca.crt")
        self.loaded = found

    def _read(self) -> tuple[bytes, ...]:
        return tuple((self.directory / name).read_bytes() for name in FILES)
