"""A closed loop over raw sockets, in a process of its own: `python -m bench.load.closed_loop`.

Each connection has one request in flight and sends the next when the answer is there. For protocols
that `wrk` does not speak.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from bench.load.apart import report_task, run_apart
from bench.load.etcd_wire import EtcdWire
from bench.load.redis_wire import RedisWire
from bench.load.result import LoadResult
from bench.load.wire import Wire
from bench.memory import memory_id, memory_json

WIRES: dict[str, Callable[[], Wire]] = {
    "etcd-put": lambda: EtcdWire("Put"),
    "etcd-get": lambda: EtcdWire("Range"),
    "redis-set": RedisWire,
}


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """What the process is to do; `keys` above 0 reads that many keys again and again."""

    wire: str
    port: int
    connections: int
    seconds: float
    prefix: str
    keys: int = 0


class _Connection(asyncio.Protocol):
    def __init__(self, task: Task, number: int) -> None:
        self._task, self._wire = task, WIRES[task.wire]()
        self._prefix = task.prefix if task.keys else f"{task.prefix}{number:02d}"
        self._sent_at = 0.0
        self.sent = self.good = self.bad = 0
        self.latencies_s: list[float] = []
        self.over = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.WriteTransport = transport  # type: ignore[assignment]
        self._transport.write(self._wire.greeting())
        self._send()

    def data_received(self, data: bytes) -> None:
        answered = self._wire.feed(data)
        if answered.reply:
            self._transport.write(answered.reply)
        if answered.good or answered.bad:
            if self.over:
                return
            self.good += answered.good
            self.bad += answered.bad
            self.latencies_s.append(time.perf_counter() - self._sent_at)
            self._send()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - given by asyncio
        self.bad += not self.over

    def _send(self) -> None:
        number = self.sent * 7919 % self._task.keys if self._task.keys else self.sent
        key = memory_id(self._prefix, number)
        value = b"" if self._task.keys else memory_json(key).encode()
        self.sent += 1
        self._sent_at = time.perf_counter()
        self._transport.write(self._wire.request(key.encode(), value))


async def _run(task: Task) -> LoadResult:
    loop = asyncio.get_running_loop()
    connections = [_Connection(task, number) for number in range(task.connections)]
    began = time.perf_counter()
    for connection in connections:
        await loop.create_connection(lambda one=connection: one, "127.0.0.1", task.port)  # type: ignore[misc]
    over = asyncio.Event()
    loop.call_later(task.seconds, over.set)
    await over.wait()
    seconds = time.perf_counter() - began
    for connection in connections:
        connection.over = True
    return LoadResult.of(
        acknowledged=sum(connection.good for connection in connections),
        sent=sum(connection.sent for connection in connections),
        errors=sum(connection.bad for connection in connections),
        seconds=seconds,
        latencies_s=(one for connection in connections for one in connection.latencies_s),
    )


@dataclass(frozen=True, slots=True)
class ClosedLoop:
    """Starts that process and reads its report."""

    wire: str
    port: int
    connections: int
    keys: int = 0

    def run(self, seconds: float, prefix: str) -> LoadResult:
        """Run for some seconds."""
        task = Task(
            wire=self.wire,
            port=self.port,
            connections=self.connections,
            seconds=seconds,
            prefix=prefix,
            keys=self.keys,
        )
        return run_apart("bench.load.closed_loop", task, LoadResult)


if __name__ == "__main__":
    report_task(Task, _run)
