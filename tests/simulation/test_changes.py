"""Joins, drains and their reverts under load: nothing is lost, and no more moves than the ring says."""

from random import Random

import pytest

from simulation.checks import is_settled
from simulation.cluster import SimulatedCluster
from simulation.faults import Faults
from simulation.layout import SLOTS
from simulation.network import ROUGH
from simulation.runs import fill, load
from simulation.seeds import SEEDS
from spine_core.scalars import StoreNumber
from spine_core.topology.document import Phase
from spine_core.topology.placement import Placement

pytestmark = pytest.mark.cluster(weather=ROUGH)

SIZES = ("abc", "abcd", "abce", "abcde")
SLOW_BYTES_PER_S = 30_000  # a change then takes some seconds, in which things can go wrong


def change_seats(cluster: SimulatedCluster, seats: str) -> None:
    """Want other seats, and start the machines of new ones."""
    cluster.want(seats)
    for seat in cluster.wanted.seats:
        cluster.restart(cluster.machines[seat])


def at(cluster: SimulatedCluster, phase: Phase, seats: str) -> bool:
    """Whether the document in force has these seats and phase, everywhere."""
    document = cluster.document
    return (
        document is not None
        and document.phase is phase
        and set(document.current) == set(seats.split())
        and is_settled(cluster)
    )


def phases(cluster: SimulatedCluster) -> list[str]:
    return [str(document.phase) for document in cluster.published]


def moved(cluster: SimulatedCluster) -> dict[int, int]:
    """Return store → slots it gained in the change that was published first."""
    begun = next(d for d in cluster.published if d.phase is Phase.PREPARE)
    return {store: len(slots) for store, slots in Placement(begun).gained().items()}


@pytest.mark.parametrize("faulty", [False, True], ids=["calm", "faulty"])
@pytest.mark.parametrize("seed", SEEDS)
async def test_a_fourth_node_joins_under_load(
    seed: int, faulty: bool, cluster: SimulatedCluster
) -> None:
    await fill(cluster)
    cluster.bytes_per_s = SLOW_BYTES_PER_S
    async with load(cluster, faults=Faults(cluster, Random(seed)) if faulty else None):
        await cluster.sleep(3)
        change_seats(cluster, "a b c d")
        await cluster.sleep(20)
    await cluster.until(lambda: at(cluster, Phase.STABLE, "a b c d"), "d has joined")
    assert phases(cluster) == ["stable", "prepare", "switch", "stable"]
    joined = cluster.machines["d"].node
    assert moved(cluster) == {
        4: len(joined.membership.member_view().placement.slots_of(StoreNumber(4)))
    }
    assert 0.15 < moved(cluster)[4] / (SLOTS * 3) < 0.35


@pytest.mark.parametrize("faulty", [False, True], ids=["calm", "faulty"])
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.cluster(seats="a b c d")
async def test_a_node_drains_under_load(seed: int, faulty: bool, cluster: SimulatedCluster) -> None:
    await fill(cluster)
    for node in cluster.nodes:
        node.operations.set_pace(bytes_per_s=SLOW_BYTES_PER_S, slots=4)
    held = len(cluster.nodes[0].membership.member_view().placement.slots_of(StoreNumber(4)))
    async with load(cluster, faults=Faults(cluster, Random(seed)) if faulty else None):
        await cluster.sleep(3)
        change_seats(cluster, "a b c")
        await cluster.sleep(20)
    await cluster.until(lambda: at(cluster, Phase.STABLE, "a b c"), "d is drained")
    await cluster.until(lambda: "d" not in cluster.machines, "d is taken away")
    assert phases(cluster) == ["stable", "prepare", "switch", "stable"]
    assert sum(moved(cluster).values()) == held


@pytest.mark.parametrize("phase", [Phase.PREPARE, Phase.SWITCH])
@pytest.mark.parametrize("seed", SEEDS)
async def test_a_join_that_is_taken_back_under_load_loses_nothing(
    seed: int, phase: Phase, cluster: SimulatedCluster
) -> None:
    await fill(cluster)
    cluster.bytes_per_s = SLOW_BYTES_PER_S
    async with load(cluster, faults=Faults(cluster, Random(seed))):
        change_seats(cluster, "a b c d")
        await cluster.until(lambda: in_phase(cluster, phase), f"{phase} is published")
        await cluster.sleep(Random(seed).uniform(0.0, 2.0))
        cluster.want("a b c")
        await cluster.sleep(20)
    await cluster.until(lambda: at(cluster, Phase.STABLE, "a b c"), "the join is taken back")
    await cluster.until(lambda: "d" not in cluster.machines, "d is taken away")


@pytest.mark.parametrize("seed", SEEDS)
async def test_changes_in_a_row_under_load_lose_nothing(
    seed: int, cluster: SimulatedCluster
) -> None:
    random = Random(seed)
    await fill(cluster)
    async with load(cluster, faults=Faults(cluster, random)):
        for _ in range(4):
            seats = " ".join(random.choice(SIZES))
            change_seats(cluster, seats)
            await cluster.until(lambda: has(cluster, seats), f"the seats are {seats}")  # noqa: B023 - awaited here
            await cluster.sleep(random.uniform(0.0, 15.0))
    assert len(cluster.published) > 3


def has(cluster: SimulatedCluster, seats: str) -> bool:
    """Whether the document has these seats, and all others are taken away."""
    document = cluster.document
    assert document is not None
    return document.phase is Phase.STABLE and (
        set(document.current) == set(cluster.machines) == set(seats.split())
    )


def in_phase(cluster: SimulatedCluster, phase: Phase) -> bool:
    return cluster.document is not None and cluster.document.phase is phase
