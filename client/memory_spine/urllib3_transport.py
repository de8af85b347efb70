"""The transport of `Spine`: urllib3, one pool of connections for all nodes."""

import ssl

import urllib3
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    LocationParseError,
    NewConnectionError,
)

from memory_spine.effects import Answer, Request
from memory_spine.errors import ConnectionFailed
from memory_spine.tls import handshake_failure

_CONNECTIONS_PER_NODE = 32  # more threads than that open connections which are not kept
_NOT_SENT = (NewConnectionError, ConnectTimeoutError, LocationParseError)


class Urllib3Transport:
    """Sends each request once. Safe for threads."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._pool = urllib3.PoolManager(
            maxsize=_CONNECTIONS_PER_NODE, retries=False, ssl_context=tls
        )

    def send(self, request: Request) -> Answer:
        """Send one request; see `Transport.send`."""
        try:
            answer = self._pool.request(
                request.method,
                request.url,
                body=request.body,
                headers=request.headers,
                timeout=urllib3.Timeout(total=request.timeout_s),
                redirect=False,
            )
        except HTTPError as error:
            tls = handshake_failure(error.args[0] if error.args else None)
            reason = tls or str(error).rsplit("): ", 1)[-1]  # without its name for the connection
            # Only a connection that never stood proves that nothing has arrived.
            sent = tls is None and not isinstance(error, _NOT_SENT)
            raise ConnectionFailed(request.url, reason, sent=sent) from error
        headers = {name.lower(): value for name, value in answer.headers.items()}
        return Answer(status=answer.status, headers=headers, body=answer.data)

    def close(self) -> None:
        """Give up the connections."""
        self._pool.clear()
