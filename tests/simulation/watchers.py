"""Clients that watch a simulated cluster: they come back with their cursor wherever a watch ends."""

from contextlib import suppress
from dataclasses import dataclass, field
from random import Random

from simulation.clients import KEYS, NAMESPACE
from simulation.cluster import CrashedError, Machine, Process, SimulatedCluster
from spine_core.errors import ProblemError
from spine_core.records.encoding import version_in
from spine_core.records.filters import EMPTY
from spine_core.records.ids import slot_of
from spine_core.records.versions import ABSENT, Version
from spine_node.ports import Watch, WatchEvent, WatchRequest
from spine_node.store import key_of

OPEN_S = 2.0
WAIT_S = 5.0
PAUSE_S = 0.2
LIMIT = 7  # small, so that answers are cut


def request(cluster: SimulatedCluster, since: str, namespace: str = NAMESPACE) -> WatchRequest:
    """Return a watch of all that happens in a namespace."""
    return WatchRequest(
        namespace=namespace,
        scope="exact",
        filter=EMPTY,
        events=frozenset({"put", "delete", "lease"}),
        since=since,
        last_event_id=None,
        deadline=cluster.now_s + OPEN_S,
    )


async def opened(machine: Machine, since: str) -> Watch:
    """Open a watch at a node."""
    return await machine.up.ask(machine.node.engine.watch(request(machine.cluster, since)))


async def seen_by(machine: Machine, watch: Watch, *, wait_s: float = WAIT_S) -> list[WatchEvent]:
    """Return the next events of a watch."""
    return (await machine.up.ask(watch.next(100, wait_s))).events


@dataclass(slots=True)
class Watcher:
    """One client that wants to see everything, on whatever node answers."""

    cluster: SimulatedCluster
    random: Random
    cursor: str = "beginning"
    newest: dict[str, Version] = field(default_factory=dict)  # key → version, on any connection
    connections: int = 0
    events: int = 0
    resets: int = 0

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            running = [m.process for m in self.cluster.machines.values() if m.process is not None]
            if running:
                with suppress(ProblemError, CrashedError):
                    await self._connect(self.random.choice(running))
            await self.cluster.sleep(PAUSE_S)

    async def _connect(self, process: Process) -> None:
        watch = await process.ask(process.node.engine.watch(request(self.cluster, self.cursor)))
        self.connections += 1
        here: dict[str, Version] = {}
        ends_s = self.cluster.now_s + self.random.expovariate(1 / 20)
        try:
            while self.cluster.now_s < ends_s:
                changes = await process.ask(watch.next(LIMIT, WAIT_S))
                self.resets += changes.reset
                for event in changes.events:
                    self._see(event, here)
                self.cursor = changes.cursor
                if changes.ended:
                    return
        finally:
            if process.alive:
                await process.ask(watch.close())

    def _see(self, event: WatchEvent, here: dict[str, Version]) -> None:
        key, version = event.memory_id, event.version
        assert version > here.get(key, ABSENT), f"{key} went back on one connection"
        here[key] = version
        self.newest[key] = max(version, self.newest.get(key, ABSENT))
        self.events += 1
        if self.random.random() < 0.5:
            self.cursor = event.cursor  # as a client that is cut off behind this event

    def lacks(self) -> dict[str, Version]:
        """Return what is held, and this client has never seen it or a newer one."""
        lacking = {}
        for key in KEYS:
            held = newest_of(self.cluster, key)
            if held > self.newest.get(key, ABSENT):
                lacking[key] = held
        return lacking


def newest_of(cluster: SimulatedCluster, key: str) -> Version:
    """Return the newest version of a record on any machine that runs."""
    place = key_of(slot_of(NAMESPACE, key, cluster.wanted.slots), NAMESPACE, key)
    copies = [node.store.get(place) for node in cluster.nodes]
    return max((version_in(raw) for raw in copies if raw is not None), default=ABSENT)
