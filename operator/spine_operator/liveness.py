"""The liveness probe of the process: daemons end their passes in time, and the Lease is not stale.

Served on `/healthz` by the event loop that does the work, so a loop that hangs does not answer.
Source: operator.md §3, liveness.
"""

import asyncio
from collections.abc import Callable

from spine_operator.naming import ClusterKey

PASS_OVERDUE_S = 90.0  # three times the longest pause between two passes
_REQUEST_BYTES_MAX = 8192
_READ_TIMEOUT_S = 5.0


class DaemonLiveness:
    """When each daemon last ended a reconcile pass, on the clock `monotonic_s`."""

    def __init__(self, monotonic_s: Callable[[], float]) -> None:
        self._monotonic_s = monotonic_s
        self._ended_s: dict[ClusterKey, float] = {}

    def record_pass(self, key: ClusterKey) -> None:
        """Note that a daemon has begun its work or ended a pass, well or badly."""
        self._ended_s[key] = self._monotonic_s()

    def forget(self, key: ClusterKey) -> None:
        """Forget a daemon that has ended for good."""
        self._ended_s.pop(key, None)

    def overdue(self) -> list[ClusterKey]:
        """Return the clusters whose daemon hangs."""
        now_s = self._monotonic_s()
        return [key for key, ended_s in self._ended_s.items() if now_s - ended_s > PASS_OVERDUE_S]


async def serve_health(port: int, problem: Callable[[], str | None]) -> asyncio.Server:
    """Answer `GET /healthz` with 200, or with 503 and the problem. The caller closes the server."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_READ_TIMEOUT_S):
                request = await reader.readuntil(b"\r\n\r\n")
            writer.write(_response(request, problem()))
            await writer.drain()
        except (OSError, EOFError, TimeoutError, asyncio.LimitOverrunError):
            pass  # a prober that went away needs no answer
        finally:
            writer.close()

    return await asyncio.start_server(answer, port=port, limit=_REQUEST_BYTES_MAX)


def _response(request: bytes, trouble: str | None) -> bytes:
    if not request.startswith(b"GET /healthz "):
        status, body = "404 Not Found", "there is only /healthz"
    elif trouble is not None:
        status, body = "503 Service Unavailable", trouble
    else:
        status, body = "200 OK", "ok"
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return (head + body).encode()
