"""A fourth node joins and leaves under load, by `spine topology apply`; every store is audited."""

import asyncio
import sys
from collections.abc import Awaitable, Iterator
from functools import partial
from pathlib import Path

import pytest

from agents.audit import Auditor
from agents.clock import until
from agents.fleet import Fleet, Workload
from agents.messages import made_up_messages
from cluster.nodes import StaticCluster, running
from spine_core.scalars import StoreNumber
from spine_core.topology.placement import Placement

SEATS = ("spine-1", "spine-2", "spine-3", "spine-4")
THREE = SEATS[:3]
SPINE = Path(sys.executable).with_name("spine")


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[StaticCluster]:
    zones = list(zip(SEATS, "abcd", strict=True))
    yield from running(StaticCluster(tmp_path, zones, SPINE_DROP_AFTER_S="1"))


async def topology(cluster: StaticCluster, verb: str) -> str:
    """Run `spine topology VERB` to its end."""
    process = await asyncio.create_subprocess_exec(
        *(SPINE, "topology", verb, "--cluster", str(cluster.file)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await process.communicate()
    assert process.returncode == 0, out.decode()
    return out.decode()


async def test_a_fourth_node_joins_and_leaves_under_load_and_nothing_is_lost(
    cluster: StaticCluster,
) -> None:
    cluster.describe(THREE)
    cluster.start(*THREE)
    await cluster.ready(*THREE)
    urls = cluster.urls(SEATS)
    fleet = Fleet(
        Workload(agents=12, writes_per_s=60),
        made_up_messages(5000).messages,
        [urls[seat] for seat in THREE],
    )
    load = asyncio.create_task(fleet.run(cluster.urls))
    await until("load runs", partial(_grew, fleet, 300))

    cluster.describe(SEATS)
    cluster.start("spine-4")
    await until("spine-4 shows its empty store", partial(_reports, cluster, "spine-4"))
    await overlapped(fleet, topology(cluster, "apply"))
    report = await cluster.status("spine-4")
    assert report["store"]["number"] == 4
    await cluster.ready("spine-4")
    await until("agents use spine-4", partial(_used, fleet, "spine-4"))
    await until("what the others lost is dropped", partial(_holds_only_its_slots, cluster))

    cluster.describe(THREE)
    await overlapped(fleet, topology(cluster, "apply"))
    assert (await cluster.status("spine-4"))["status"] == "retired"
    cluster.nodes["spine-4"].kill()
    before = len(fleet.tally.acknowledged)
    await until("load goes on with three nodes", partial(_grew, fleet, before + 60))

    fleet.stop()
    await load
    auditor = Auditor(cluster.urls(THREE), cluster.admin_token)
    findings = await auditor.audit(fleet.tally.acknowledged, within_s=60)
    assert findings.lost == ()
    assert findings.epoch == 7  # 1; prepare, switch, commit of the join; the same of the drain
    assert fleet.tally.failures == []
    assert fleet.tally.misses == 0


async def overlapped(fleet: Fleet, change: Awaitable[str]) -> None:
    """Await a change, and see that writes were acknowledged meanwhile."""
    before = len(fleet.tally.acknowledged)
    await change
    assert len(fleet.tally.acknowledged) > before


async def _grew(fleet: Fleet, count: int) -> bool:
    return len(fleet.tally.acknowledged) >= count


async def _used(fleet: Fleet, seat: str) -> bool:
    return seat in fleet.urls


async def _holds_only_its_slots(cluster: StaticCluster) -> bool:
    """Whether spine-1 holds records of no slot but its own."""
    placement = Placement(await cluster.document("spine-1"))
    held = {int(slot) for slot in (await cluster.status("spine-1", slots=1))["slots"]}
    return held <= placement.slots_of(StoreNumber(1))


async def _reports(cluster: StaticCluster, seat: str) -> bool:
    try:
        return bool((await cluster.status(seat))["status"] == "unjoined")
    except OSError:
        return False
