"""An unowned slot goes after a while, and only when no replica can need it (R8)."""

import sqlite3
from contextlib import closing

import pytest

from simulation.checks import is_settled
from simulation.cluster import SimulatedCluster
from simulation.layout import DROP_AFTER_S
from simulation.runs import fill
from simulation.steps import in_phase, plant
from spine_core.topology.document import Phase
from spine_node.engine.upkeep.health import SILENCED_S
from spine_node.store.operations import TrimFeed


async def grow(cluster: SimulatedCluster) -> None:
    """Fill the cluster, and let d join; all know of it in the end."""
    await fill(cluster)
    cluster.want("a b c d")
    cluster.machines["d"].start()
    await cluster.until(lambda: in_phase(cluster, Phase.STABLE), "d has joined")
    await cluster.until(lambda: is_settled(cluster), "all know that d has joined")


async def test_unowned_slots_are_dropped_after_a_while_and_no_others(
    cluster: SimulatedCluster,
) -> None:
    await grow(cluster)
    settled_s, unowned = cluster.now_s, held_of_others(cluster)
    assert unowned
    await cluster.until(lambda: held_of_others(cluster) != unowned, "an unowned slot is dropped")
    assert cluster.now_s - settled_s > DROP_AFTER_S - 1
    await cluster.until(lambda: clean(cluster), "unowned slots are dropped")
    assert is_settled(cluster)


async def test_an_unowned_slot_is_kept_while_its_replicas_differ(cluster: SimulatedCluster) -> None:
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
    await cluster.until(lambda: clean(cluster), "unowned slots are dropped")


async def test_garbage_collection_that_takes_long_makes_no_node_unready(
    cluster: SimulatedCluster,
) -> None:
    a = cluster.machines["a"]
    collecting = a.up.writer.lose(TrimFeed)
    await cluster.sleep(2 * SILENCED_S)
    assert collecting.met
    assert a.node.operations.ready() is None
    assert a.node.health.refusal() is None


async def test_garbage_collection_that_finds_the_writer_busy_is_tried_again(
    cluster: SimulatedCluster,
) -> None:
    busy = cluster.machines["a"].up.writer.refuse(TrimFeed)
    await cluster.until(lambda: len(busy.met) == 3, "three attempts")
    assert cluster.failures == []


async def test_an_index_that_cannot_be_swept_is_left_for_the_next_time(
    cluster: SimulatedCluster, caplog: pytest.LogCaptureFixture
) -> None:
    await grow(cluster)
    for machine in cluster.machines.values():
        with closing(sqlite3.connect(machine.path / "index.db")) as file:
            file.execute("DROP TABLE row")
    await cluster.until(lambda: clean(cluster), "unowned slots are dropped")
    await cluster.sleep(2 * DROP_AFTER_S)
    cut = [record for record in caplog.records if record.message == "garbage_collection_cut"]
    assert any("could not be swept" in str(vars(record)["why"]) for record in cut)
    assert cluster.failures == []


def held_of_others(cluster: SimulatedCluster) -> set[int]:
    """Return the slots that some store holds though others own them."""
    return {
        slot
        for node in cluster.nodes
        for slot in range(64)
        if node.store.slot_stats(slot)[0] and slot not in node.store.owned
    }


def clean(cluster: SimulatedCluster) -> bool:
    """Whether every store holds records of its own slots only."""
    return not held_of_others(cluster)
