"""Connections of urllib3 that keep the deadline of the request they carry."""

import socket
import threading
from typing import cast

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

from memory_spine.deadline import Deadline, DeadlineSocket
from memory_spine.forks import OwnedSockets


class _Current(threading.local):
    """The deadline of the request that this thread sends; urllib3 has no place to hand it through."""

    deadline: Deadline | None = None


current = _Current()
sockets = OwnedSockets()


def _deadline() -> Deadline:
    assert current.deadline is not None, "the transport sets it"
    return current.deadline


class _DeadlineMixin(HTTPConnection):
    """What both schemes do alike."""

    def _new_conn(self) -> socket.socket:
        """Connect to the first address that answers; all addresses of a name share the time.

        urllib3 gives each of them the whole.
        """
        name, deadline = self._dns_host, _deadline()
        found = _addresses(name, self.port) or [name]
        for count, address in enumerate(found):
            self._dns_host = address
            self.timeout = deadline.left_to_connect_s() / (len(found) - count)
            try:
                opened = super()._new_conn()
                break
            except (ConnectTimeoutError, NewConnectionError):
                if address == found[-1]:
                    raise
            finally:
                self._dns_host = name
        sockets.add(opened)
        opened.settimeout(deadline.left_to_connect_s())  # for the handshake that may follow
        tunnel = self._tunnel_host is not None
        return cast("socket.socket", DeadlineSocket(opened, deadline, tunnel=tunnel))

    def request(self, *args: object, **kwargs: object) -> None:
        """Send a request, also on a connection that an earlier one has opened."""
        if isinstance(self.sock, DeadlineSocket):
            self.sock.deadline = _deadline()
        super().request(*args, **kwargs)  # type: ignore[arg-type]


class DeadlineHTTPConnection(_DeadlineMixin):
    """A plain connection."""


class DeadlineHTTPSConnection(_DeadlineMixin, HTTPSConnection):
    """A connection with TLS, whose socket is a new one after the handshake."""

    def connect(self) -> None:
        """Connect, and wrap the socket that the handshake has made."""
        super().connect()
        sockets.add(self.sock)
        self.sock = cast("socket.socket", DeadlineSocket(self.sock, _deadline()))


class DeadlineHTTPPool(urllib3.HTTPConnectionPool):
    """Plain connections to one node."""

    ConnectionCls = DeadlineHTTPConnection


class DeadlineHTTPSPool(urllib3.HTTPSConnectionPool):
    """Connections with TLS to one node."""

    ConnectionCls = DeadlineHTTPSConnection


POOLS = {"http": DeadlineHTTPPool, "https": DeadlineHTTPSPool}


def _addresses(name: str, port: int | None) -> list[str]:
    """Return the numeric addresses of a name; none where urllib3 shall report the failure."""
    try:
        found = socket.getaddrinfo(name.strip("[]"), port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    return list(dict.fromkeys(str(address[0]) for *_, address in found))
