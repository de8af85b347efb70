"""Agents at work: each stores messages through one node and reads them back through another.

The pace is bounded, so the machine keeps room for what the test does meanwhile. Every operation
that raised to its caller is counted and kept; nothing is retried here beyond the client's own rules.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import cycle

from agents.clock import pause, unix_second, wait_at_most
from agents.messages import Message
from memory_spine import AsyncSpine, SpineError, Stats

NAMESPACE = "demo.chat"
REFRESH_S = 1.0  # how soon agents learn of nodes that came or went

Addresses = Callable[[Sequence[str]], Mapping[str, str]]
"""Seats of the cluster → seat → base URL."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """How many agents, and how much they do together each second."""

    agents: int
    writes_per_s: float
    least: int = 0  # memories to store before a stop counts
    ca_file: str | None = None
    api_key: str | None = None


@dataclass(slots=True)
class Tally:
    """What happened, as the agents saw it."""

    acknowledged: dict[str, Message] = field(default_factory=dict)  # memory id → its source
    per_second: Counter[int] = field(default_factory=Counter)  # unix second → acknowledged then
    reads_elsewhere: int = 0  # successful reads by a node other than the writer's
    misses: int = 0  # of these, older than the session
    failures: list[str] = field(default_factory=list)  # what was raised to callers
    slowest_s: float = 0.0


class Fleet:
    """Runs a workload until `stop` is called."""

    def __init__(
        self, workload: Workload, messages: Sequence[Message], seeds: Sequence[str]
    ) -> None:
        self.tally = Tally()
        self._workload, self._seeds = workload, list(seeds)
        self._messages: Iterator[Message] = cycle(messages)
        self._urls: Mapping[str, str] = {}
        self._stopped = asyncio.Event()
        self._clients: list[AsyncSpine] = []

    def stop(self) -> None:
        """Let the agents end what they are doing, once `least` memories are stored."""
        self._stopped.set()

    @property
    def urls(self) -> Mapping[str, str]:
        """Seat → URL of the nodes that clients use now."""
        return self._urls

    def stats(self) -> Stats:
        """Add up what the clients counted."""
        totals: Counter[str] = Counter()
        for client in self._clients:
            for name in Stats.__dataclass_fields__:
                totals[name] += getattr(client.stats, name)
        return Stats(**totals)

    async def run(self, addresses: Addresses) -> None:
        """Work until stopped."""
        async with self._client(self._seeds) as scout:
            await self._learn(scout, addresses)
            async with asyncio.TaskGroup() as tasks:
                following = tasks.create_task(self._follow(scout, addresses))
                working = [
                    tasks.create_task(self._work(number)) for number in range(self._workload.agents)
                ]
                await asyncio.wait(working)
                following.cancel()

    async def _follow(self, scout: AsyncSpine, addresses: Addresses) -> None:
        while True:
            await wait_at_most(self._stopped, REFRESH_S)
            try:
                await self._learn(scout, addresses)
            except SpineError:
                continue  # the nodes known so far stay in use

    async def _learn(self, scout: AsyncSpine, addresses: Addresses) -> None:
        cluster = await scout.cluster()
        self._urls = addresses([node.id for node in cluster.nodes])

    async def _work(self, number: int) -> None:
        """Be one agent: store a message, read it elsewhere, wait for the next beat."""
        beat_s = self._workload.agents / self._workload.writes_per_s
        due = time.monotonic() + beat_s * number / self._workload.agents
        async with self._client(self._seeds) as client:
            self._clients.append(client)
            turn = number
            while not self._done():
                await pause(due - time.monotonic())
                due = max(due + beat_s, time.monotonic() - beat_s)
                turn += 1
                await self._remember(client, next(self._messages), turn)

    def _done(self) -> bool:
        return self._stopped.is_set() and len(self.tally.acknowledged) >= self._workload.least

    async def _remember(self, client: AsyncSpine, message: Message, turn: int) -> None:
        """Store one message through one node and read it through another."""
        nodes = list(self._urls.values())
        here = [nodes[(turn + step) % len(nodes)] for step in range(len(nodes))]
        elsewhere = [*here[1:], here[0]]
        began = time.monotonic()
        try:
            writer = client.with_options(urls=here)
            stored = await writer.memories.create(
                message.text, agent_id=message.sender, thread_id=message.conversation
            )
            self.tally.acknowledged[stored.id] = message
            self.tally.per_second[unix_second()] += 1
            reader = client.with_options(urls=elsewhere)
            seen = await reader.memories.get_or_none(stored.id)
        except SpineError as error:
            self.tally.failures.append(f"{type(error).__name__}: {error}")
            return
        finally:
            self.tally.slowest_s = max(self.tally.slowest_s, time.monotonic() - began)
        by, told = writer.last_answer, reader.last_answer
        if by and told and by.node != told.node:
            self.tally.reads_elsewhere += 1
            self.tally.misses += seen is None or seen.version < stored.version

    def _client(self, urls: Sequence[str]) -> AsyncSpine:
        return AsyncSpine(
            urls,
            namespace=NAMESPACE,
            api_key=self._workload.api_key,
            ca_file=self._workload.ca_file,
        )
