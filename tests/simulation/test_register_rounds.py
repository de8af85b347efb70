"""Rounds of registers that meet late calls and lost ones."""

import pytest

from simulation.clients import NAMESPACE
from simulation.cluster import Machine, SimulatedCluster
from simulation.steps import held, place_of, read, write
from spine_core.errors import ProblemError
from spine_core.records.consistency import Model
from spine_core.scalars import Slot
from spine_node.engine.coordinator.rounds import IDENTITY
from spine_node.engine.coordinator.target import Target
from spine_node.ports import WriteRequest


async def patch_problem(machine: Machine, key: str) -> ProblemError:
    """Patch a memory that is not there; return the refusal."""
    request = WriteRequest(
        namespace=NAMESPACE, memory_id=key, memory=None, subject="tester", session=None,
        deadline=machine.cluster.now_s + 2.0, patch=b'{"importance": 1}',
    )  # fmt: skip
    with pytest.raises(ProblemError) as refused:
        await machine.up.ask(machine.node.engine.write(request))
    return refused.value


def key_proposed_by(machine: Machine) -> str:
    """Return a key whose rounds a machine proposes."""
    view = machine.node.membership.member_view()
    names = (f"k{number}" for number in range(1000))
    return next(
        name for name in names if view.placement.read_set(Slot(place_of(name)[0]))[0] == view.number
    )


async def test_a_replica_that_missed_a_register_of_nothing_learns_it(
    cluster: SimulatedCluster,
) -> None:
    b, c = cluster.machines["b"], cluster.machines["c"]
    slot, key = place_of("k")
    lost = [cluster.network.rules.lose(method, to=c.url) for method in ("accept", "learn")]
    target = Target(Slot(slot), key, cluster.now_s + 2.0)
    await b.up.ask(b.node.coordinators.rounds.run(target, IDENTITY))
    await cluster.sleep(1.0)
    assert c.node.store.open_rounds
    for rule in lost:
        rule.end()
    await cluster.until(lambda: not c.node.store.open_rounds, "c has learned it")
    assert held(c, "k") == held(b, "k") is not None


async def test_a_refusal_is_not_final_while_the_change_may_still_arrive_elsewhere(
    cluster: SimulatedCluster,
) -> None:
    a, b = cluster.machines["a"], cluster.machines["b"]
    key = key_proposed_by(b)
    cluster.network.rules.delay("change", 3.0, to=b.url)
    refused = await patch_problem(a, key)
    assert (refused.code, refused.outcome) == ("not-found", "indeterminate")
    await write(a, key, "there")
    await cluster.sleep(3.0)
    seen = await read(a, key, Model.STRONG)
    assert seen.record is not None
    assert b'"importance":1' in seen.record.body  # it took effect indeed


async def test_a_change_that_comes_after_nine_others_is_not_made_again(
    cluster: SimulatedCluster,
) -> None:
    a, b = cluster.machines["a"], cluster.machines["b"]
    key = key_proposed_by(b)
    late = cluster.network.rules.delay("change", 6.0, to=b.url)
    await write(a, key, "once", model=Model.STRONG)
    late.end()
    for number in range(10):
        newest = await write(b, key, f"later-{number}", model=Model.STRONG)
    await cluster.sleep(8.0)
    assert (await read(a, key, Model.STRONG)).record == newest.record
