"""Leases on a cluster: one holder at a time, fences that only grow, late writes that change nothing."""

import asyncio
from collections.abc import Awaitable

import msgspec
import pytest

from simulation.clients import NAMESPACE, TIMEOUT_S, memory
from simulation.cluster import Machine, SimulatedCluster
from simulation.steps import read
from spine_core.errors import ProblemError
from spine_core.records.consistency import Model
from spine_node.ports import Fence, LeaseOutcome, LeaseRequest, WriteOutcome, WriteRequest


def asked(machine: Machine, holder: str, timeout_s: float = TIMEOUT_S) -> LeaseRequest:
    return LeaseRequest(
        namespace=NAMESPACE,
        key="deploy",
        holder=holder,
        subject="tester",
        session=None,
        deadline=machine.cluster.now_s + timeout_s,
    )


async def acquire(
    machine: Machine,
    holder: str,
    *,
    ttl_ms: int = 2000,
    wait_ms: int = 0,
    guards: tuple[str, ...] = (),
    key: str | None = None,
) -> LeaseOutcome:
    request = msgspec.structs.replace(
        asked(machine, holder, TIMEOUT_S + wait_ms / 1000),
        ttl_ms=ttl_ms,
        wait_ms=wait_ms,
        guards=guards,
        idempotency_key=key,
    )
    return await machine.up.ask(machine.node.engine.acquire_lease(request))


async def release(machine: Machine, holder: str, fence: int) -> LeaseOutcome:
    request = msgspec.structs.replace(asked(machine, holder), fence=fence)
    return await machine.up.ask(machine.node.engine.release_lease(request))


async def fenced(machine: Machine, content: str | None, fence: int | None) -> WriteOutcome:
    request = WriteRequest(
        namespace=NAMESPACE,
        memory_id="release",
        memory=None if content is None else memory(content, ()),
        subject="tester",
        session=None,
        deadline=machine.cluster.now_s + TIMEOUT_S,
        fence=None if fence is None else Fence("deploy", fence),
    )
    return await machine.up.ask(machine.node.engine.write(request))


async def refused(work: Awaitable[object]) -> ProblemError:
    with pytest.raises(ProblemError) as failed:
        await work
    return failed.value


async def test_a_lease_has_one_holder_and_each_grant_a_higher_fence(
    cluster: SimulatedCluster,
) -> None:
    a, b, c = (cluster.machines[seat] for seat in "abc")
    assert (await acquire(a, "one")).state.fence == 1
    held = await refused(acquire(b, "two"))
    assert (held.code, held.extra["holder"]) == ("lease-held", "one")
    await release(c, "one", 1)
    assert (await acquire(b, "two")).state.fence == 2
    await cluster.sleep(4.0)  # it has run out, and nobody gave it back
    assert (await acquire(a, "one")).state.fence == 3


async def test_who_waits_gets_the_lease_when_it_is_given_back(cluster: SimulatedCluster) -> None:
    a, b, c = (cluster.machines[seat] for seat in "abc")
    await acquire(a, "one", ttl_ms=30_000)
    waiting = [asyncio.create_task(acquire(b, f"w{n}", wait_ms=8000)) for n in range(3)]
    await cluster.sleep(1.0)
    assert not any(task.done() for task in waiting)
    await release(c, "one", 1)
    await cluster.until(lambda: any(task.done() for task in waiting), "one of them has it")
    (granted,) = (task for task in waiting if task.done())
    assert granted.result().state.fence == 2
    await asyncio.gather(*waiting)  # the others after it: each runs out
    assert sorted(task.result().state.fence for task in waiting) == [2, 3, 4]


async def test_who_waits_too_long_is_told_who_has_the_lease(cluster: SimulatedCluster) -> None:
    a, b = cluster.machines["a"], cluster.machines["b"]
    await acquire(a, "one", ttl_ms=30_000)
    began = cluster.now_s
    problems = await asyncio.gather(*(refused(acquire(b, f"w{n}", wait_ms=1000)) for n in range(5)))
    assert {(p.code, p.extra["holder"]) for p in problems} == {("lease-held", "one")}
    assert 0.5 < cluster.now_s - began < 1.5


async def test_a_wait_beyond_the_time_of_the_request_ends_within_it(
    cluster: SimulatedCluster,
) -> None:
    a, b = cluster.machines["a"], cluster.machines["b"]
    await acquire(a, "one", ttl_ms=30_000)
    began = cluster.now_s
    request = msgspec.structs.replace(asked(b, "two"), ttl_ms=2000, wait_ms=30_000)
    assert (await refused(b.up.ask(b.node.engine.acquire_lease(request)))).code == "lease-held"
    assert cluster.now_s - began < TIMEOUT_S


async def test_a_retried_acquire_returns_the_grant_that_it_made(cluster: SimulatedCluster) -> None:
    a, b = cluster.machines["a"], cluster.machines["b"]
    first = await acquire(a, "one", key="same")
    again = await acquire(b, "one", key="same")
    assert again.state == first.state
    await release(a, "one", 1)
    await acquire(a, "two")
    assert (await refused(acquire(b, "one", key="same"))).code == "lease-lost"


async def test_a_paused_holder_writes_nothing_after_its_lease_has_passed_on(
    cluster: SimulatedCluster,
) -> None:
    a, b, c = (cluster.machines[seat] for seat in "abc")
    assert (await acquire(a, "one", guards=("release",))).state.fence == 1
    await fenced(a, "by one", 1)
    await cluster.sleep(4.0)
    assert (await acquire(b, "two", guards=("release",))).state.fence == 2
    for machine in (a, b, c):
        assert (await refused(fenced(machine, "late", 1))).code == "fence-stale"
        assert (await refused(fenced(machine, "without", None))).code == "fence-required"
        assert (await refused(fenced(machine, None, 1))).code == "fence-stale"
    record = (await read(c, "release", Model.STRONG)).record
    assert record is not None
    assert record.body.endswith(memory("by one", ()))
    await fenced(c, "by two", 2)


async def test_a_guard_without_a_record_stops_a_late_write_too(cluster: SimulatedCluster) -> None:
    a, b = cluster.machines["a"], cluster.machines["b"]
    await acquire(a, "one", guards=("release",))
    assert (await refused(fenced(b, "without", None))).code == "fence-required"
    record = (await read(b, "release", Model.STRONG)).record
    assert record is not None
    await fenced(b, "by one", 1)


async def test_a_lease_whose_guard_cannot_be_stamped_is_given_back(
    cluster: SimulatedCluster,
) -> None:
    a, b = cluster.machines["a"], cluster.machines["b"]
    other = msgspec.structs.replace(asked(a, "other"), key="other", ttl_ms=2000)
    other = msgspec.structs.replace(other, guards=("release",))
    await a.up.ask(a.node.engine.acquire_lease(other))
    assert (await refused(acquire(b, "one", guards=("release",)))).code == "guard-conflict"
    assert (await acquire(b, "two")).state.fence == 2
