"""I7: whatever sequence of specs, crashes and silent nodes, the cluster ends in the last spec.

The watchdog of the fake cluster checks every write on the way. Seeds are fixed here; SEED adds one.
"""

import os
import random

import pytest

from kubedouble.fake_cluster import ZONES, FakeKubeCluster
from kubedouble.faults import Crash, Fault, FaultPlan
from spine_core.topology.document import Phase
from spine_operator.status.builder import is_ready

SEEDS = [*range(8), *([int(os.environ["SEED"])] if "SEED" in os.environ else [])]
FOUR = [*ZONES, {"name": "d"}]


def disturb(fake: FakeKubeCluster, chance: random.Random) -> None:
    """Change the spec, or what the nodes do."""
    match chance.randrange(4):
        case 0 | 1:
            zones = chance.choice([ZONES, FOUR])
            fake.change_spec(replicas=chance.randint(3, 6), topology={"zones": zones})
        case 2:
            silent = chance.choice([*fake.nodes.running, "nobody"])
            fake.held_back = {silent}
        case _:
            fake.nodes.pulling = not fake.nodes.pulling


@pytest.mark.parametrize("seed", SEEDS)
async def test_any_sequence_of_specs_ends_in_the_last_one(seed: int) -> None:
    chance = random.Random(seed)
    fake = FakeKubeCluster(
        replicas=3, topology={"zones": ZONES}, storage={"size": "1Gi", "keepFor": "1s"}
    )
    await fake.settle()
    for _ in range(8):
        disturb(fake, chance)
        for _ in range(chance.randrange(8)):
            plan = {chance.randrange(40): chance.choice([Fault.ERROR, Fault.CRASH])}
            try:
                await fake.reconcile_pass(fake.ports(FaultPlan(plan=plan)))
            except Crash:
                fake.controllers()
    fake.held_back, fake.nodes.pulling = set(), True
    fake.change_spec(replicas=4, topology={"zones": FOUR})
    fake.now_ms += 3_600_000  # whatever stalled may be tried again
    await fake.settle(lambda o: o.status is not None and is_ready(o.status))
    expected = [f"spine-{zone}-0" for zone in "abcd"]
    assert sorted(fake.document.current) == expected, f"replay with SEED={seed}"
    assert fake.document.phase is Phase.STABLE
