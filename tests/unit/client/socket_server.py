"""A server of plain sockets: a test says what it does with each connection, byte by byte."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n%s\r\n"
PAUSE_S = 0.02  # between two pieces of a slow answer


def answer(body: bytes, *headers: bytes) -> bytes:
    return HEAD % (len(body), b"".join(header + b"\r\n" for header in headers)) + body


@dataclass
class Connection:
    """One accepted connection."""

    socket: socket.socket
    released: threading.Event  # the test is over
    requests: list[bytes]  # of all connections, as they came

    def receive(self) -> bytes:
        """Return one whole request, nothing at the end of the connection."""
        data = b""
        while not _is_whole(data):
            got = self.socket.recv(65536)
            if not got:
                return b""
            data += got
        self.requests.append(data)
        return data

    def drip(self, data: bytes, size: int = 1) -> None:
        """Send slowly, until all is sent or the test is over."""
        for begin in range(0, len(data), size):
            self.socket.sendall(data[begin : begin + size])
            if self.released.wait(PAUSE_S):
                return

    def stay_silent(self) -> None:
        self.released.wait(60)


Play = Callable[[Connection], None]


@dataclass
class SocketServer:
    """Plays one connection after another in a thread each."""

    play: Play
    listener: socket.socket
    tls: ssl.SSLContext | None = None
    released: threading.Event = field(default_factory=threading.Event)
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0

    @property
    def url(self) -> str:
        host, port, *_ = self.listener.getsockname()
        scheme = "https" if self.tls else "http"
        return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"

    def serve(self) -> None:
        threads = []
        while True:
            accepted, _ = self.listener.accept()
            if self.released.is_set():
                accepted.close()
                break
            self.connections += 1
            threads.append(threading.Thread(target=self._run, args=(accepted,)))
            threads[-1].start()
        for thread in threads:
            thread.join()

    def _run(self, accepted: socket.socket) -> None:
        with ExitStack() as stack:
            stack.enter_context(accepted)
            try:
                if self.tls is not None:
                    accepted = stack.enter_context(self.tls.wrap_socket(accepted, server_side=True))
                self.play(Connection(accepted, self.released, self.requests))
            except OSError:
                return  # the client has gone


@contextmanager
def serving(
    play: Play, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None
) -> Iterator[SocketServer]:
    """Serve until the block ends."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as listener:
        server = SocketServer(play, listener, tls)
        thread = threading.Thread(target=server.serve)
        thread.start()
        try:
            yield server
        finally:
            server.released.set()
            socket.create_connection(listener.getsockname()[:2]).close()  # ends the accept
            thread.join()


def _is_whole(data: bytes) -> bool:
    head, end, body = data.partition(b"\r\n\r\n")
    lines = (line.lower().split(b":") for line in head.split(b"\r\n")[1:])
    length = next((int(line[1]) for line in lines if line[0] == b"content-length"), 0)
    return bool(end) and len(body) >= length
