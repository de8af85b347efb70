"""Redis: SET, and WAIT until one replica has it, in one packet; or GET."""

from bench.load.wire import Answered


def command(*parts: bytes) -> bytes:
    """Return a command in the protocol of Redis."""
    body = b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)
    return b"*%d\r\n%s" % (len(parts), body)


class RedisWire:
    """One connection that writes."""

    def __init__(self) -> None:
        self._buffer = b""
        self._wait = command(b"WAIT", b"1", b"0")

    def greeting(self) -> bytes:
        """Return nothing: Redis has no greeting."""
        return b""

    def request(self, key: bytes, value: bytes) -> bytes:
        """Return a SET and the WAIT for it."""
        return command(b"SET", key, value) + self._wait

    def feed(self, data: bytes) -> Answered:
        """Take received bytes: two lines are one answer."""
        self._buffer += data
        if self._buffer.count(b"\r\n") < 2:
            return Answered()
        stored, replicas, _ = self._buffer.split(b"\r\n")
        self._buffer = b""
        good = stored == b"+OK" and replicas >= b":1"
        return Answered(int(good), int(not good))
