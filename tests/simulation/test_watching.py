"""What is watched is what is stored, whatever becomes of the nodes: nothing missed, no version goes back."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random

import pytest

from simulation.cluster import SimulatedCluster
from simulation.faults import Faults
from simulation.network import ROUGH
from simulation.runs import load
from simulation.seeds import SEEDS
from simulation.steps import damage, write
from simulation.test_changes import at, change_seats
from simulation.watchers import Watcher, opened, seen_by
from spine_core.topology.document import Phase

WATCHERS = 3


@asynccontextmanager
async def watched(cluster: SimulatedCluster) -> AsyncIterator[list[Watcher]]:
    """Let clients watch; at the end each of them must have seen all that is stored."""
    watchers = [Watcher(cluster, Random(cluster.random.random())) for _ in range(WATCHERS)]
    tasks = [asyncio.create_task(watcher.run()) for watcher in watchers]
    for task in tasks:
        task.add_done_callback(cluster.note)
    yield watchers
    await cluster.until(lambda: not any(w.lacks() for w in watchers), "everything was seen")
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    assert min(watcher.events for watcher in watchers) > 50
    assert sum(watcher.resets for watcher in watchers) == 0


@pytest.mark.cluster(weather=ROUGH, seats="a b c d e")
@pytest.mark.parametrize("seed", SEEDS)
async def test_watches_see_every_write_while_nodes_crash_and_links_break(
    seed: int, cluster: SimulatedCluster
) -> None:
    async with watched(cluster), load(cluster, faults=Faults(cluster, Random(seed))):
        await cluster.sleep(60)


@pytest.mark.cluster(weather=ROUGH)
@pytest.mark.parametrize("seed", SEEDS)
async def test_watches_see_every_write_while_a_node_joins_and_leaves(
    seed: int, cluster: SimulatedCluster
) -> None:
    async with watched(cluster), load(cluster, faults=Faults(cluster, Random(seed))):
        await cluster.sleep(3)
        change_seats(cluster, "a b c d")
        await cluster.until(lambda: at_phase(cluster, "a b c d"), "d has joined")
        await cluster.sleep(20)
        change_seats(cluster, "a b c")
        await cluster.until(lambda: at_phase(cluster, "a b c"), "d is drained")
        await cluster.sleep(10)
    await cluster.until(lambda: at(cluster, Phase.STABLE, "a b c"), "settled")


def at_phase(cluster: SimulatedCluster, seats: str) -> bool:
    document = cluster.document
    return (
        document is not None
        and document.phase is Phase.STABLE
        and set(document.current) == set(seats.split())
    )


async def test_a_copy_that_is_damaged_where_it_is_followed_is_seen_whole(
    cluster: SimulatedCluster,
) -> None:
    machine = cluster.machines["a"]
    watch = await opened(machine, "now")
    done = await write(machine, "k", "v")
    damage(machine, "k")
    (event,) = await seen_by(machine, watch)
    assert (event.kind, event.version) == ("put", done.record.version)
    await watch.close()


async def test_a_write_is_seen_at_once_on_every_node(cluster: SimulatedCluster) -> None:
    watches = {m: await opened(m, "now") for m in cluster.machines.values()}
    began_s = cluster.now_s
    done = await write(cluster.machines["b"], "k", "v")
    for machine, watch in watches.items():
        (event,) = await seen_by(machine, watch)
        assert (event.kind, event.memory_id, event.version) == ("put", "k", done.record.version)
    assert cluster.now_s - began_s < 0.5
    for watch in watches.values():
        await watch.close()
