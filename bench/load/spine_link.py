"""Our own client over `transport="link"`, in a process of its own: many operations on one connection.

`python -m bench.load.spine_link` runs it. Each node has one client, shared by its share of workers;
each worker has one operation in flight.
"""

import asyncio
import inspect
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from bench.load.apart import report_task, run_apart
from bench.load.result import LoadResult
from bench.memory import NAMESPACE, memory_id, memory_json
from memory_spine import AsyncSpine
from memory_spine.errors import SpineError


class LinkTask(msgspec.Struct, frozen=True, kw_only=True):
    """What the process is to do."""

    operation: str  # put, batch or get
    urls: Sequence[str]
    workers: int
    seconds: float
    prefix: str
    keys: int  # so many memories of prefix "fill" may be read
    items: int = 1


def client(url: str, **options: Any) -> AsyncSpine:
    """Return a client on a link."""
    linked: dict[str, Any] = {"transport": "link", "namespace": NAMESPACE, **options}
    return AsyncSpine(url, **linked)


def missing() -> str | None:
    """Return why there are no rows over a link."""
    takes = inspect.signature(AsyncSpine).parameters["transport"].annotation
    if "link" in str(takes):
        return None
    return "no link transport: AsyncSpine does not take transport='link' yet"


@dataclass(slots=True)
class _Worker:
    task: LinkTask
    prefix: str
    spine: AsyncSpine
    until: float
    sent: int = 0
    acknowledged: int = 0
    errors: int = 0
    latencies_s: list[float] = field(default_factory=list)

    async def run(self) -> None:
        operation = {"put": self._put, "batch": self._batch, "get": self._get}[self.task.operation]
        while (began := time.perf_counter()) < self.until:
            try:
                await operation()
            except SpineError:
                self.errors += 1
            else:
                self.acknowledged += self.task.items
                self.latencies_s.append(time.perf_counter() - began)

    def _next(self) -> tuple[str, dict[str, Any]]:
        identity = memory_id(self.prefix, self.sent)
        self.sent += 1
        fields: dict[str, Any] = msgspec.json.decode(memory_json(identity))
        return identity, fields

    async def _put(self) -> None:
        identity, fields = self._next()
        await self.spine.memories.put(identity, fields.pop("content"), **fields)

    async def _batch(self) -> None:
        async with self.spine.memories.batch() as batch:
            for _ in range(self.task.items):
                identity, fields = self._next()
                batch.put(identity, fields.pop("content"), **fields)

    async def _get(self) -> None:
        number = self.sent * 7919 % self.task.keys
        self.sent += 1
        memory = await self.spine.memories.get(memory_id("fill", number))
        assert memory.content.startswith(memory.id), "a memory has its id in its content"


async def _run(task: LinkTask) -> LoadResult:
    options = {"consistency": "eventual"} if task.operation == "get" else {}
    clients = [client(url, **options) for url in task.urls]
    began = time.perf_counter()
    workers = [
        _Worker(
            task,
            f"{task.prefix}{number:02d}",
            clients[number % len(clients)],
            began + task.seconds,
        )
        for number in range(task.workers)
    ]
    await asyncio.gather(*(worker.run() for worker in workers))
    seconds = time.perf_counter() - began
    for one in clients:
        await one.close()
    return LoadResult.of(
        acknowledged=sum(worker.acknowledged for worker in workers),
        sent=sum(worker.sent for worker in workers),
        errors=sum(worker.errors for worker in workers),
        seconds=seconds,
        latencies_s=(one for worker in workers for one in worker.latencies_s),
    )


@dataclass(frozen=True, slots=True)
class SpineLink:
    """Starts that process and reads its report."""

    operation: str
    urls: Sequence[str]
    workers: int
    keys: int
    items: int = 1

    def run(self, seconds: float, prefix: str) -> LoadResult:
        """Run for some seconds."""
        task = LinkTask(
            operation=self.operation,
            urls=self.urls,
            workers=self.workers,
            seconds=seconds,
            prefix=prefix,
            keys=self.keys,
            items=self.items,
        )
        return run_apart("bench.load.spine_link", task, LoadResult)


if __name__ == "__main__":
    report_task(LinkTask, _run)
