"""The time of one request on one blocking connection, kept over all its operations.

A socket's own timeout is a limit of inactivity: an answer that drips a byte now and then never
exceeds it. So each operation is given what is left of the whole.
"""

import io
import socket
import ssl
from collections.abc import Callable
from typing import Any

from memory_spine.effects import Request

Clock = Callable[[], float]  # monotonic seconds


class Deadline:
    """When one request must have begun to be answered, and when it must have ended."""

    def __init__(self, request: Request, monotonic_s: Clock) -> None:
        now_s = monotonic_s()
        self.sent = False  # something of the request may have left
        self.expired: str | None = None  # which limit has passed
        self._monotonic_s = monotonic_s
        self._request = request
        self._ends_s = now_s + request.timeout_s
        self._first_byte_s = min(request.timeout_s, request.first_byte_s or request.timeout_s)
        self._begins_s: float | None = now_s + self._first_byte_s  # None: the answer has begun

    def left_to_connect_s(self) -> float:
        """Return how long the connection may still take, with its TLS handshake."""
        assert self._begins_s is not None, "the answer begins after the connection"
        return self._left_s(self._begins_s, f"no connection within {self._first_byte_s:.1f} s")

    def left_to_send_s(self) -> float:
        """Return how long the request may still take to leave."""
        return self._left_s(self._ends_s, f"not sent within {self._request.timeout_s:.1f} s")

    def await_answer(self) -> None:
        """Begin to wait: the time that the answer has to begin counts from the end of the request."""
        self._begins_s = min(self._ends_s, self._monotonic_s() + self._first_byte_s)

    def left_to_receive_s(self) -> float:
        """Return how long to wait for the next bytes."""
        if self._begins_s is not None:
            return self._left_s(self._begins_s, f"no answer within {self._first_byte_s:.1f} s")
        seconds = self._request.timeout_s
        return self._left_s(self._ends_s, f"no whole answer within {seconds:.1f} s")

    def received(self) -> None:
        """Something has come: what follows has the whole time of the request."""
        self._begins_s = None

    def renew(self) -> None:
        """Give the next part of a stream the whole time again."""
        self._ends_s = self._monotonic_s() + self._request.timeout_s

    def _left_s(self, until_s: float, reason: str) -> float:
        self.expired = reason  # true if the operation that asks fails by its time
        if (left_s := until_s - self._monotonic_s()) <= 0:
            raise TimeoutError(reason)
        return left_s


class DeadlineSocket:
    """A connected socket whose operations end by the deadline of the request that uses it.

    It has what http.client, urllib3 and ssl ask of a socket; the rest is the socket's own.
    """

    def __init__(
        self, wrapped: socket.socket | ssl.SSLSocket, deadline: Deadline, *, tunnel: bool = False
    ) -> None:
        self.deadline = deadline
        self._wrapped = wrapped
        self._tunnel = tunnel  # what it carries is the way to a proxy, not the request

    def __getattr__(self, name: str) -> Any:
        return getattr(self._wrapped, name)

    def settimeout(self, _seconds: float | None) -> None:
        """Ignore it: urllib3 sets a limit of inactivity, and the deadline is what counts."""

    def sendall(self, data: Any) -> None:
        """Send all of it in time."""
        self.deadline.sent = self.deadline.sent or not self._tunnel
        self._wrapped.settimeout(self.deadline.left_to_send_s())
        self._wrapped.sendall(data)
        self.deadline.await_answer()

    def makefile(self, mode: str) -> io.BufferedReader:
        """Return a file to read from, as `socket.makefile("rb")` does."""
        assert mode == "rb", "http.client only reads from it"
        raw = self._wrapped.makefile("rb", buffering=0)
        return io.BufferedReader(_DeadlineReader(self._wrapped, raw, self.deadline))


class _DeadlineReader(io.RawIOBase):
    """Reads one answer from a socket."""

    def __init__(self, wrapped: socket.socket, raw: io.RawIOBase, deadline: Deadline) -> None:
        super().__init__()
        self._wrapped = wrapped
        self._raw = raw
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._wrapped.settimeout(self._deadline.left_to_receive_s())
        count = self._raw.readinto(buffer)
        self._deadline.received()
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()
