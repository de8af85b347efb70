"""What clients are promised on a cluster that nobody changes, whatever else goes wrong."""

from random import Random

import pytest

from simulation.cluster import SimulatedCluster
from simulation.faults import LARGE_JUMPS_MS, Faults
from simulation.network import ROUGH
from simulation.runs import load
from simulation.seeds import SEEDS
from spine_node.engine.replication.anti_entropy import PULL_ROUND_S

VIRTUAL_S = 40.0


@pytest.mark.parametrize("seed", SEEDS)
async def test_promises_hold_on_a_calm_cluster(seed: int, cluster: SimulatedCluster) -> None:
    async with load(cluster) as run_of:
        await cluster.sleep(VIRTUAL_S)
        assert len(run_of.history.writes) > 500
        assert all(write.outcome == "ok" for write in run_of.history.writes)
        assert run_of.stable.age_s() < 2 * PULL_ROUND_S, "stable time stands still"


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.cluster(weather=ROUGH)
async def test_promises_hold_under_crashes_cuts_and_clock_jumps(
    seed: int, cluster: SimulatedCluster
) -> None:
    faults = Faults(cluster, Random(seed), jumps_ms=LARGE_JUMPS_MS)
    async with load(cluster, faults=faults) as run_of:
        await cluster.sleep(VIRTUAL_S)
    assert len(run_of.history.writes) > 200
