"""What nodes make of each other's news."""

from dataclasses import replace

import pytest

from simulation.cluster import Machine, SimulatedCluster
from spine_core.replication.gossip import NodeState
from spine_core.scalars import StoreNumber


def state_at(machine: Machine, store: int) -> NodeState:
    """Return what a node knows of a store."""
    known = machine.node.gossip._known
    assert known is not None
    return known.states[StoreNumber(store)]


def alarms(machine: Machine) -> int:
    """Return how often a node has seen a rolled-back disk."""
    [line] = [
        line
        for line in machine.node.operations.metrics().decode().splitlines()
        if line.startswith("spine_boot_rollbacks_total")
    ]
    return round(float(line.rpartition(" ")[2]))


@pytest.mark.parametrize(("teller", "alarmed"), [("c", 0), ("b", 1)])
async def test_only_what_a_store_says_of_itself_shows_its_disk(
    cluster: SimulatedCluster, teller: str, alarmed: int
) -> None:
    a, b = cluster.machines["a"], cluster.machines["b"]
    await cluster.sleep(5.0)
    numbers = {info.seat: n for n, info in a.node.membership.member_view().document.stores.items()}
    of_b = state_at(a, numbers["b"])
    await b.crash()
    b.start()
    await cluster.sleep(10.0)
    assert state_at(a, numbers["b"]).boot > of_b.boot
    a.node.gossip._merge([replace(of_b, beat=10**6)], said_by=numbers[teller])
    assert state_at(a, numbers["b"]).boot > of_b.boot
    assert alarms(a) == alarmed
