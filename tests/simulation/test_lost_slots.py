"""A lost slot goes after a while, and only when no replica can need it (R8)."""

import pytest

from simulation.checks import is_settled
from simulation.cluster import DROP_AFTER_S, SimulatedCluster
from simulation.runs import fill
from simulation.steps import in_phase, plant
from spine_core.topology.document import Phase
from spine_node.engine.upkeep.health import SILENCED_S
from spine_node.search.index import IndexUnreadableError
from spine_node.store import StoreBusyError


async def grow(cluster: SimulatedCluster) -> None:
    """Fill the cluster, and let d join; all know of it in the end."""
    await fill(cluster)
    cluster.want("a b c d")
    cluster.machines["d"].start()
    await cluster.until(lambda: in_phase(cluster, Phase.STABLE), "d has joined")
    await cluster.until(lambda: is_settled(cluster), "all know that d has joined")


async def test_lost_slots_are_dropped_after_a_while_and_no_others(
    cluster: SimulatedCluster,
) -> None:
    await grow(cluster)
    settled_s, lost = cluster.now_s, held_of_others(cluster)
    assert lost
    await cluster.until(lambda: held_of_others(cluster) != lost, "a lost slot is dropped")
    assert cluster.now_s - settled_s > DROP_AFTER_S - 1
    await cluster.until(lambda: clean(cluster), "lost slots are dropped")
    assert is_settled(cluster)


async def test_a_lost_slot_is_kept_while_its_replicas_differ(cluster: SimulatedCluster) -> None:
    await grow(cluster)
    no_pulls = cluster.network.rules.refuse("buckets")
    await plant(cluster.machines["d"], 300, epoch=4)
    before = held_of_others(cluster)
    await cluster.sleep(3 * DROP_AFTER_S)
    gained = cluster.machines["d"].node.store.owned
    assert {slot for slot in held_of_others(cluster) if slot in gained} == {
        slot for slot in before if slot in gained
    }
    no_pulls.end()
    await cluster.until(lambda: clean(cluster), "lost slots are dropped")


async def test_cleaning_that_takes_long_makes_no_node_unready(cluster: SimulatedCluster) -> None:
    a = cluster.machines["a"].node

    async def take_long() -> int:
        await cluster.sleep(10 * SILENCED_S)
        return 0

    a.upkeep.cleaning.run_once = take_long  # type: ignore[method-assign]
    await cluster.sleep(2 * SILENCED_S)
    assert a.ready() is None
    assert a.health.refusal() is None


@pytest.mark.parametrize("error", [StoreBusyError("many wait"), IndexUnreadableError("busy")])
async def test_cleaning_that_fails_is_tried_again(
    cluster: SimulatedCluster, error: Exception
) -> None:
    cleaning = cluster.machines["a"].node.upkeep.cleaning
    attempts: list[float] = []

    async def fail() -> int:
        attempts.append(cluster.now_s)
        raise error

    cleaning.run_once = fail  # type: ignore[method-assign]
    await cluster.until(lambda: len(attempts) == 3, "three attempts")
    assert cluster.failures == []


def held_of_others(cluster: SimulatedCluster) -> set[int]:
    """Return the slots that some store holds though it has lost them."""
    return {
        slot
        for node in cluster.nodes
        for slot in range(64)
        if node.store.slot_stats(slot)[0] and slot not in node.store.owned
    }


def clean(cluster: SimulatedCluster) -> bool:
    """Whether every store holds records of its own slots only."""
    return not held_of_others(cluster)
