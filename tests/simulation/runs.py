"""One run: a workload beside faults, then peace, then every check."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from random import Random

from simulation.checks import (
    StableTimeCheck,
    check_history,
    check_kept,
    check_served,
    clocks_agree,
    is_settled,
)
from simulation.clients import Client, History
from simulation.cluster import SimulatedCluster
from simulation.faults import Faults
from simulation.network import CALM
from simulation.steps import write

CLIENTS = 6
RECORDS = 300
CONDITION_POLL_S = 0.5
HEALED_S = 5.0  # after the last fault, until everything works again


async def founded(cluster: SimulatedCluster) -> None:
    """Wait until the cluster serves."""
    await cluster.until(
        lambda: all(node.operations.ready() is None for node in cluster.nodes), "all nodes ready"
    )


async def fill(cluster: SimulatedCluster) -> None:
    """Give the cluster something to move."""
    weather, cluster.network.weather = cluster.network.weather, CALM
    first = next(iter(cluster.machines.values()))
    for number in range(RECORDS):
        await write(first, f"filler-{number}", f"{number}")
    cluster.network.weather = weather


@dataclass(frozen=True, slots=True)
class Load:
    """What a run is watched by."""

    history: History
    stable: StableTimeCheck


@asynccontextmanager
async def load(
    cluster: SimulatedCluster, *, faults: Faults | None = None, clients: int = CLIENTS
) -> AsyncIterator[Load]:
    """Let clients work and disks be watched, with or without faults; then heal and check all."""
    history, stable = History(), StableTimeCheck(cluster)
    agents = [
        Client(cluster, history, f"c{number}", Random(cluster.random.random()))
        for number in range(clients)
    ]
    working = [asyncio.create_task(agent.run()) for agent in agents]
    beside = [asyncio.create_task(_watch(cluster, stable))]
    if faults is not None:
        beside.append(asyncio.create_task(faults.run()))
    for task in (*working, *beside):
        task.add_done_callback(cluster.note)
    yield Load(history, stable)
    for task in beside:
        task.cancel()
    await asyncio.wait(beside)
    cluster.heal()
    await cluster.until(lambda: clocks_agree(cluster, agents), "clocks agree")
    await cluster.sleep(HEALED_S)
    healed_s = cluster.now_s
    await cluster.sleep(HEALED_S)
    for agent in agents:
        agent.working = False
    await asyncio.wait(working)
    check_served(cluster, history, healed_s)
    await cluster.until(lambda: is_settled(cluster), "all replicas hold the same")
    stable.look()
    check_history(history)
    check_kept(cluster, history)
    assert not cluster.failures, cluster.failures


async def _watch(cluster: SimulatedCluster, stable: StableTimeCheck) -> None:
    while True:
        await cluster.sleep(CONDITION_POLL_S)
        stable.look()
