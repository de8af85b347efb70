"""One life of a world: load and faults, then healing, then every check."""

import asyncio
import hashlib
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from simulation.checks import StableTimeCheck, clocks_agree, is_settled
from simulation.cluster import SimulatedCluster, simulated
from simulation.network import CALM
from simulation.worlds.checks import check_history
from simulation.worlds.client import Shared, WorldClient
from simulation.worlds.faults import WorldFaults
from simulation.worlds.history import WorldHistory
from simulation.worlds.replicas import check_no_open_rounds, check_replicas
from simulation.worlds.world import GROUPS, Step, World
from spine_core.records.consistency import ORDER
from spine_core.topology.document import Phase
from spine_node.metrics import Metrics

HEALED_S = 5.0  # after the last fault, until everything works again
REAPED_S = 15.0
LOOK_S = 0.5
SLOW_BYTES_PER_S = 20_000


@dataclass(slots=True)
class Outcome:
    """What a world came to."""

    history: WorldHistory = field(default_factory=WorldHistory)
    faults: Counter[str] = field(default_factory=Counter)
    reached: Counter[str] = field(default_factory=Counter)  # rules, and how often
    epochs: int = 0
    unknown: int = 0  # linearizability checks that took too long
    trace: str = ""  # the same for the same world


async def live(world: World, root: Path) -> Outcome:
    """Let a world live; an assertion fails where a promise is broken."""
    outcome, shared = Outcome(), Shared()
    outcome.history = shared.history
    async with _cluster(world, root) as cluster:
        stable = StableTimeCheck(cluster)
        clients = [WorldClient(cluster, shared, number) for number in range(len(world.clients))]
        faults = WorldFaults(cluster, world)
        outcome.faults = faults.met
        await _load(world, cluster, clients, faults, stable)
        probes = zip(clients, world.probes, strict=True)
        await asyncio.gather(*(client.run(steps, strict=True) for client, steps in probes))
        await cluster.until(lambda: is_settled(cluster), "all replicas hold the same")
        await cluster.sleep(REAPED_S)
        await cluster.until(lambda: is_settled(cluster), "all replicas hold the same")
        stable.look()
        check_no_open_rounds(cluster)
        await _read_all(cluster, clients[0])
        outcome.reached, outcome.epochs = reached(cluster), len(cluster.published)
        check_replicas(cluster, shared.history)
        assert not cluster.failures, cluster.failures
    outcome.unknown = check_history(shared.history)
    outcome.trace = hashlib.sha256(repr(shared.history.events).encode()).hexdigest()[:16]
    return outcome


@asynccontextmanager
async def _cluster(world: World, root: Path) -> AsyncIterator[SimulatedCluster]:
    """Make the cluster; stores draw their ids from the seed, too."""
    ids, drawn = Random(world.seed), uuid.uuid4
    uuid.uuid4 = lambda: uuid.UUID(int=ids.getrandbits(128), version=4)
    try:
        async with simulated(
            root,
            world.seed,
            seats=" ".join(world.seats),
            layout=world.layout,
            pull_limits=world.pull_limits,
        ) as cluster:
            if world.slots_slow:
                cluster.bytes_per_s = SLOW_BYTES_PER_S
            cluster.network.weather = CALM
            await cluster.until(
                lambda: all(node.operations.ready() is None for node in cluster.nodes), "ready"
            )
            cluster.network.weather = world.weather
            yield cluster
    finally:
        uuid.uuid4 = drawn


async def _load(
    world: World,
    cluster: SimulatedCluster,
    clients: list[WorldClient],
    faults: WorldFaults,
    stable: StableTimeCheck,
) -> None:
    async def watch() -> None:
        while True:
            await cluster.sleep(LOOK_S)
            stable.look()
            await _free_volumes(cluster)

    working = [
        asyncio.create_task(client.run(steps))
        for client, steps in zip(clients, world.clients, strict=True)
    ]
    beside = [asyncio.create_task(faults.run()), asyncio.create_task(watch())]
    for task in beside:
        task.add_done_callback(cluster.note)
    await asyncio.wait(working, timeout=world.load_s)
    for task in beside:
        task.cancel()
    await asyncio.wait(beside)
    for client in clients:
        client.working = False
    await _heal(cluster, clients, working)


async def _heal(
    cluster: SimulatedCluster, clients: list[WorldClient], working: list[asyncio.Task[None]]
) -> None:
    cluster.paused = cluster.dies_at_publish = False
    cluster.network.rules.end()
    for machine in tuple(cluster.machines.values()):
        if machine.process is not None and machine.process.writer.failure is not None:
            await machine.crash()
    cluster.heal()

    async def free() -> None:
        while True:
            await cluster.sleep(LOOK_S)
            await _free_volumes(cluster)

    await asyncio.gather(*working)
    freeing = asyncio.create_task(free())
    freeing.add_done_callback(cluster.note)
    await cluster.until(lambda: clocks_agree(cluster, clients), "clocks agree")
    await cluster.sleep(HEALED_S)
    await cluster.until(lambda: _is_calm(cluster), "no change is under way")
    freeing.cancel()
    with suppress(asyncio.CancelledError):
        await freeing
    await cluster.sleep(HEALED_S)


def _is_calm(cluster: SimulatedCluster) -> bool:
    document = cluster.document
    return (
        document is not None
        and document.phase is Phase.STABLE
        and set(document.current) == set(cluster.wanted.seats) == set(cluster.machines)
    )


async def _free_volumes(cluster: SimulatedCluster) -> None:
    """Give a seat that comes back a new disk, once its old store is retired, as the operator does."""
    if getattr(cluster.action, "guard", "") != "VolumeFree" or cluster.document is None:
        return
    retired = set(cluster.document.retired.values())
    for seat in [*cluster.wanted.seats]:
        machine = cluster.machines.get(seat)
        if machine is None or machine.process is None or seat in cluster.document.target:
            continue
        if machine.node.operations.store_id() in retired:
            await cluster.machines.pop(seat).remove()
    cluster.want(" ".join(cluster.wanted.seats))
    for seat in cluster.wanted.seats:
        cluster.restart(cluster.machines[seat])


async def _read_all(cluster: SimulatedCluster, client: WorldClient) -> None:
    for process in [machine.up for machine in cluster.machines.values()]:
        for group, (count, _) in GROUPS.items():
            for number in range(count):
                step = Step(0.0, "read", f"{group}-{number}", 5.0, (0.0,) * 4)
                await client.read(process, step, ORDER[-1])


def reached(cluster: SimulatedCluster) -> Counter[str]:
    """Return which rules were met, and how often."""
    met = Counter({f"link {name}": count for name, count in cluster.network.calls.items()})
    for disk in cluster.disks_made:
        for answer, count in disk.answers.items():
            if answer.split()[-1] != "ok" and " " in answer.strip():
                met[f"answer {answer}"] += count
    for metrics in cluster.metrics:
        met += _counted(metrics)
    return met


def _counted(metrics: Metrics) -> Counter[str]:
    return Counter(
        {
            " ".join((sample.name.removesuffix("_total"), *sample.labels.values())): int(
                sample.value
            )
            for counter in (
                metrics.restamped,
                metrics.rerouted,
                metrics.registers_reaped,
                metrics.rounds,
                metrics.session_fallbacks,
            )
            for sample in next(iter(counter.collect())).samples
            if sample.name.endswith("_total")
        }
    )
