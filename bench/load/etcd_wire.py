"""etcd's own gRPC calls over bare HTTP/2 frames: a client that costs little, so that etcd has the cores.

The request headers are literals without an index and never change, so they are built once; of an
answer only the frames' types matter. A Python gRPC library costs the client 100 µs a call, and
etcd's JSON gateway costs the server another call: both would make etcd look slower than it is.
Sources: RFC 9113 (frames), RFC 7541 §6.2.2 (literals), etcd's rpc.proto.
"""

from typing import Literal

from bench.load.wire import Answered

Call = Literal["Put", "Range"]

_DATA, _HEADERS, _RESET, _SETTINGS, _PING, _GOAWAY, _WINDOW = 0, 1, 3, 4, 6, 7, 8
_END_STREAM, _ACK, _END_HEADERS = 1, 1, 4
_WINDOW_MAX = 2**31 - 1
_HEAD = 9


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    head = len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big")
    return head + payload


def _literal(name: str, value: str) -> bytes:
    return b"".join((b"\0", *(bytes((len(t),)) + t.encode() for t in (name, value))))


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes((*out, number))


def _field(number: int, data: bytes) -> bytes:
    return bytes((number << 3 | 2,)) + _varint(len(data)) + data


class EtcdWire:
    """One HTTP/2 connection that makes one kind of call, one after the other."""

    def __init__(self, call: Call) -> None:
        self._put = call == "Put"
        self._stream = -1
        self._buffer = b""
        self._answer = False  # whether the call in flight has had data: without, it failed
        post, plain = b"\x83", b"\x86"  # :method POST and :scheme http of the static table
        self._headers = b"".join(
            (
                post,
                plain,
                _literal(":path", f"/etcdserverpb.KV/{call}"),
                _literal(":authority", "bench"),
                _literal("content-type", "application/grpc"),
                _literal("te", "trailers"),
            )
        )

    def greeting(self) -> bytes:
        """Return the preface; the window is wide enough for a whole run."""
        wide = (_WINDOW_MAX - 65_535).to_bytes(4, "big")
        settings = _frame(_SETTINGS, 0, 0, b"")
        return b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + settings + _frame(_WINDOW, 0, 0, wide)

    def request(self, key: bytes, value: bytes) -> bytes:
        """Return a Put, or a serializable Range of one key."""
        self._stream += 2
        serializable = bytes((7 << 3, 1))
        message = _field(1, key) + (_field(2, value) if self._put else serializable)
        data = b"\0" + len(message).to_bytes(4, "big") + message
        return _frame(_HEADERS, _END_HEADERS, self._stream, self._headers) + _frame(
            _DATA, _END_STREAM, self._stream, data
        )

    def feed(self, data: bytes) -> Answered:
        """Take received bytes; a call is over when its stream ends."""
        buffer = self._buffer + data
        good = bad = 0
        reply = b""
        while len(buffer) >= _HEAD:
            end = _HEAD + int.from_bytes(buffer[:3], "big")
            if len(buffer) < end:
                break
            kind, flags, payload = buffer[3], buffer[4], buffer[_HEAD:end]
            buffer = buffer[end:]
            if kind == _DATA:
                self._answer = True
            elif kind == _RESET or (kind == _HEADERS and flags & _END_STREAM):
                good, bad = good + self._answer, bad + (not self._answer)
                self._answer = False
            elif kind in {_SETTINGS, _PING} and not flags & _ACK:
                reply += _frame(kind, _ACK, 0, payload if kind == _PING else b"")
            elif kind == _GOAWAY:
                raise OSError("etcd closes the connection")
        self._buffer = buffer
        return Answered(good, bad, reply)
