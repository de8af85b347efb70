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
from simulation.faults import Faults
from simulation.network import CALM
from simulation.steps import write
from simulation.world import World

CLIENTS = 6
RECORDS = 300
LOOK_S = 0.5
HEALED_S = 5.0  # after the last fault, until everything works again


async def founded(world: World) -> None:
    """Wait until the cluster serves."""
    await world.until(lambda: all(node.ready() is None for node in world.nodes), "all nodes ready")


async def fill(cluster: World) -> None:
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
    world: World, *, faults: Faults | None = None, clients: int = CLIENTS
) -> AsyncIterator[Load]:
    """Let clients work and disks be watched, with or without faults; then heal and check all."""
    history, stable = History(), StableTimeCheck(world)
    agents = [
        Client(world, history, f"c{number}", Random(world.random.random()))
        for number in range(clients)
    ]
    working = [asyncio.create_task(agent.run()) for agent in agents]
    beside = [asyncio.create_task(_watch(world, stable))]
    if faults is not None:
        beside.append(asyncio.create_task(faults.run()))
    for task in (*working, *beside):
        task.add_done_callback(world.note)
    yield Load(history, stable)
    for task in beside:
        task.cancel()
    await asyncio.wait(beside)
    world.heal()
    await world.until(lambda: clocks_agree(world, agents), "clocks agree")
    await world.sleep(HEALED_S)
    healed_s = world.now_s
    await world.sleep(HEALED_S)
    for agent in agents:
        agent.working = False
    await asyncio.wait(working)
    check_served(world, history, healed_s)
    await world.until(lambda: is_settled(world), "all replicas hold the same")
    stable.look()
    check_history(history)
    check_kept(world, history)
    assert not world.failures, world.failures


async def _watch(world: World, stable: StableTimeCheck) -> None:
    while True:
        await world.sleep(LOOK_S)
        stable.look()
