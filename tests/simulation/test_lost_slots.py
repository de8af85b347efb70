"""A lost slot goes after a while, and only when no replica can need it (R8)."""

from collections.abc import Awaitable, Callable

import pytest

from simulation.checks import is_settled
from simulation.runs import fill
from simulation.steps import in_phase, plant, pull_nothing
from simulation.world import DROP_AFTER_S, World
from spine_core.topology.document import Phase
from spine_node.engine.upkeep.health import SILENCED_S
from spine_node.search.index import IndexUnreadableError
from spine_node.store import StoreBusyError

Steps = Callable[[World], Awaitable[None]]


async def grow(cluster: World) -> None:
    """Fill the cluster, and let d join; all know of it in the end."""
    await fill(cluster)
    cluster.want("a b c d")
    cluster.machines["d"].start()
    await cluster.until(lambda: in_phase(cluster, Phase.STABLE), "d has joined")
    await cluster.until(lambda: is_settled(cluster), "all know that d has joined")


def test_lost_slots_are_dropped_after_a_while_and_no_others(
    calm: Callable[[Steps], None],
) -> None:
    async def steps(cluster: World) -> None:
        await grow(cluster)
        settled_s, lost = cluster.now_s, held_of_others(cluster)
        assert lost
        await cluster.until(lambda: held_of_others(cluster) != lost, "a lost slot is dropped")
        assert cluster.now_s - settled_s > DROP_AFTER_S - 1
        await cluster.until(lambda: clean(cluster), "lost slots are dropped")
        assert is_settled(cluster)

    calm(steps)


def test_a_lost_slot_is_kept_while_its_replicas_differ(calm: Callable[[Steps], None]) -> None:
    async def steps(cluster: World) -> None:
        await grow(cluster)
        pulls = {node: node.pulling.pull_slots for node in cluster.nodes}
        for node in cluster.nodes:
            node.pulling.pull_slots = pull_nothing  # type: ignore[method-assign]
        await plant(cluster.machines["d"], 300, epoch=4)
        before = held_of_others(cluster)
        await cluster.sleep(3 * DROP_AFTER_S)
        gained = cluster.machines["d"].node.store.owned
        assert {slot for slot in held_of_others(cluster) if slot in gained} == {
            slot for slot in before if slot in gained
        }
        for node, pull in pulls.items():
            node.pulling.pull_slots = pull  # type: ignore[method-assign]
        await cluster.until(lambda: clean(cluster), "lost slots are dropped")

    calm(steps)


def test_cleaning_that_takes_long_makes_no_node_unready(calm: Callable[[Steps], None]) -> None:
    async def steps(cluster: World) -> None:
        a = cluster.machines["a"].node

        async def take_long() -> int:
            await cluster.sleep(10 * SILENCED_S)
            return 0

        a.upkeep.cleaning.run_once = take_long  # type: ignore[method-assign]
        await cluster.sleep(2 * SILENCED_S)
        assert a.ready() is None
        assert a.health.refusal() is None

    calm(steps)


@pytest.mark.parametrize("error", [StoreBusyError("many wait"), IndexUnreadableError("busy")])
def test_cleaning_that_fails_is_tried_again(
    calm: Callable[[Steps], None], error: Exception
) -> None:
    async def steps(cluster: World) -> None:
        cleaning = cluster.machines["a"].node.upkeep.cleaning
        attempts: list[float] = []

        async def fail() -> int:
            attempts.append(cluster.now_s)
            raise error

        cleaning.run_once = fail  # type: ignore[method-assign]
        await cluster.until(lambda: len(attempts) == 3, "three attempts")
        assert cluster.failures == []

    calm(steps)


def held_of_others(cluster: World) -> set[int]:
    """Return the slots that some store holds though it has lost them."""
    return {
        slot
        for node in cluster.nodes
        for slot in range(64)
        if node.store.slot_stats(slot)[0] and slot not in node.store.owned
    }


def clean(cluster: World) -> bool:
    """Whether every store holds records of its own slots only."""
    return not held_of_others(cluster)
