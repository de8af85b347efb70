"""Our own client over links for an open loop: one client a node, a task for each operation."""

import asyncio
from collections.abc import Callable, Sequence

import msgspec

from bench.load.spine_link import client
from bench.memory import memory_id, memory_json
from bench.openloop.schedule import Operation
from memory_spine import AsyncSpine
from memory_spine.errors import SpineError

Done = Callable[[Operation, bool], None]


class LinkSender:
    """Operations go to the nodes in turn."""

    def __init__(self, prefix: str, keys: int) -> None:
        self._prefix, self._keys = prefix, keys
        self._clients: list[AsyncSpine] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def connect(self, addresses: Sequence[str]) -> None:
        """Make the clients."""
        urls = [f"http://{address}" for address in addresses]
        self._clients = [client(url, consistency="eventual") for url in urls]
        for one in self._clients:
            await one.whoami()

    def send(self, operation: Operation, done: Done) -> None:
        """Start its task."""
        task = asyncio.get_running_loop().create_task(self._run(operation, done))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, operation: Operation, done: Done) -> None:
        memories = self._clients[operation.number % len(self._clients)].memories
        try:
            if operation.write:
                identity = memory_id(self._prefix, operation.number)
                fields = msgspec.json.decode(memory_json(identity))
                await memories.put(identity, fields.pop("content"), **fields)
            else:
                await memories.get(memory_id("fill", operation.number * 7919 % self._keys))
        except SpineError:
            done(operation, False)
        else:
            done(operation, True)
