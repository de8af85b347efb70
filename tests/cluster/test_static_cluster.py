"""Three real nodes from a cluster file: quorum writes, sessions on every node, crashes under load."""

import asyncio
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from agents.audit import Auditor
from agents.clock import until
from agents.fleet import Fleet, Workload
from agents.messages import made_up_messages
from cluster.nodes import StaticCluster, running

SEATS = ("spine-1", "spine-2", "spine-3")


@pytest.fixture
def three(tmp_path: Path) -> Iterator[StaticCluster]:
    yield from running(StaticCluster(tmp_path, list(zip(SEATS, "abc", strict=True))))


async def test_no_acknowledged_write_is_lost_when_nodes_are_killed_under_load(
    three: StaticCluster,
) -> None:
    three.start(*SEATS)
    await three.ready(*SEATS)
    fleet = Fleet(
        Workload(agents=12, writes_per_s=60),
        made_up_messages(5000).messages,
        list(three.urls(SEATS).values()),
    )
    load = asyncio.create_task(fleet.run(three.urls))
    for seat in SEATS:
        before = len(fleet.tally.acknowledged)
        await until("load runs", partial(_grew, fleet, before + 60))
        assert three.nodes[seat].kill() == -signal.SIGKILL
        before = len(fleet.tally.acknowledged)
        await until("load goes on with two nodes", partial(_grew, fleet, before + 60))
        three.start(seat)
        await three.ready(seat)
    fleet.stop()
    await load
    auditor = Auditor(three.urls(SEATS), three.admin_token)
    findings = await auditor.audit(fleet.tally.acknowledged, within_s=60)
    assert findings.lost == ()
    assert fleet.tally.failures == []
    assert fleet.tally.misses == 0
    assert fleet.tally.reads_elsewhere > len(fleet.tally.acknowledged) / 2


async def _grew(fleet: Fleet, count: int) -> bool:
    return len(fleet.tally.acknowledged) >= count
