"""Registers on a cluster: proposers that stop or are cut off, answers that are lost, weak puts beside."""

import asyncio

import msgspec
import pytest

from simulation.clients import NAMESPACE, TIMEOUT_S, memory
from simulation.cluster import Machine, SimulatedCluster
from simulation.steps import cut_off, held, place_of, read, write
from spine_core.errors import ProblemError
from spine_core.records.consistency import Model
from spine_core.records.encoding import Record, split_body
from spine_core.records.versions import STRONG, WEAK, etag_of, kind_of
from spine_core.replication.replica_status import ReplicaStatus
from spine_core.scalars import Slot
from spine_node.ports import PreconditionFailedError, WriteOutcome, WriteRequest


async def change(
    machine: Machine, content: str, *, key: str | None = None, **conditions: object
) -> WriteOutcome:
    request = WriteRequest(
        namespace=NAMESPACE,
        memory_id="k",
        memory=memory(content, ()),
        subject="tester",
        session=None,
        deadline=machine.cluster.now_s + TIMEOUT_S,
        idempotency_key=key,
    )
    request = msgspec.structs.replace(request, **conditions)
    return await machine.up.ask(machine.node.engine.write(request))


def content_of(record: Record) -> str:
    content: str = msgspec.json.decode(split_body(record.body)[1])["content"]
    return content


def proposer_of(cluster: SimulatedCluster) -> Machine:
    """Return the machine that proposes for the record."""
    view = next(iter(cluster.machines.values())).node.membership.member_view()
    first = view.placement.read_set(Slot(place_of("k")[0]))[0]
    seats = {m.node.store.identity.number: m for m in cluster.machines.values()}
    return seats[first]


async def test_a_condition_that_fails_leaves_a_weak_record_weak(cluster: SimulatedCluster) -> None:
    a, b = cluster.machines["a"], cluster.machines["b"]
    made = await write(a, "k", "weak")
    with pytest.raises(PreconditionFailedError) as failed:
        await change(b, "new", create_only=True)
    assert failed.value.current is not None
    assert etag_of(failed.value.current.version) == etag_of(made.record.version)
    assert kind_of(held(a, "k") or made.record.version) == WEAK
    assert place_of("k")[1] not in a.node.store.open_rounds
    done = await change(b, "new", if_match=etag_of(made.record.version))
    assert kind_of(done.record.version) == STRONG


async def test_a_weak_put_that_meets_a_register_is_applied_once(cluster: SimulatedCluster) -> None:
    a, b = cluster.machines["a"], cluster.machines["b"]
    await change(a, "strong", create_only=True)
    done = await write(b, "k", "weak put")
    assert kind_of(done.record.version) == STRONG
    assert (await read(a, "k", Model.STRONG)).record == done.record


async def test_a_retry_with_its_key_returns_what_it_made_though_others_followed(
    cluster: SimulatedCluster,
) -> None:
    a, b = cluster.machines["a"], cluster.machines["b"]
    made = await change(a, "one", create_only=True, key="first")
    await change(b, "two", if_match=etag_of(made.record.version))
    again = await change(b, "one", create_only=True, key="first")
    assert again.replayed
    assert again.record.version == made.record.version
    assert (await read(a, "k", Model.STRONG)).record != made.record


@pytest.mark.parametrize("method", ["prepare", "accept", "learn", "change"])
async def test_a_round_succeeds_though_one_replica_does_not_answer(
    cluster: SimulatedCluster, method: str
) -> None:
    proposer = proposer_of(cluster)
    others = [m for m in cluster.machines.values() if m is not proposer]
    cluster.network.rules.lose(method, to=others[0].url)
    cluster.network.rules.lose("change", to=proposer.url)
    done = await change(others[1], "x")
    assert (await read(others[1], "k", Model.STRONG)).record == done.record


async def test_a_proposer_that_is_cut_off_from_all_is_passed_over(
    cluster: SimulatedCluster,
) -> None:
    proposer = proposer_of(cluster)
    other = next(m for m in cluster.machines.values() if m is not proposer)
    for method in ("prepare", "accept"):
        for machine in cluster.machines.values():
            cluster.network.rules.refuse(
                method, to=machine.url, by=proposer.url, status=ReplicaStatus.BUSY
            )
    done = await change(other, "x", create_only=True)
    assert (await read(other, "k", Model.STRONG)).record == done.record


async def test_the_reaper_completes_what_nobody_learned(cluster: SimulatedCluster) -> None:
    machines = list(cluster.machines.values())
    key = place_of("k")[1]
    lost = [cluster.network.rules.lose("learn", to=machine.url) for machine in machines]
    cluster.network.rules.refuse("fetch")  # nor does a pull bring it
    done = await change(machines[0], "x", create_only=True)
    assert any(key in machine.node.store.open_rounds for machine in machines)
    for rule in lost:
        rule.end()
    await cluster.until(
        lambda: all(held(machine, "k") == done.record.version for machine in machines),
        "every replica has learned",
    )
    assert not any(machine.node.store.open_rounds for machine in machines)


async def test_a_promise_that_nobody_used_blocks_no_weak_put(cluster: SimulatedCluster) -> None:
    machines = list(cluster.machines.values())
    lost = [cluster.network.rules.lose("accept", to=machine.url) for machine in machines]
    with pytest.raises(ProblemError) as failed:
        await change(proposer_of(cluster), "x", create_only=True)
    assert failed.value.outcome == "indeterminate"
    for rule in lost:
        rule.end()
    done = await write(machines[0], "k", "weak put")
    assert (await read(machines[1], "k", Model.STRONG)).record == done.record


async def test_of_many_concurrent_updates_each_that_counts_is_kept(
    cluster: SimulatedCluster,
) -> None:
    machines = list(cluster.machines.values())
    first = await change(machines[0], "0", create_only=True)

    async def attempt(machine: Machine, current: Record) -> Record | None:
        """Add one to a value; return the one that came between, None if nothing did."""
        more = str(int(content_of(current)) + 1)
        try:
            await change(machine, more, if_match=etag_of(current.version))
        except PreconditionFailedError as failed:
            return failed.current
        return None

    async def increment(turn: int) -> None:
        current: Record | None = first.record
        while current is not None:
            current = await attempt(machines[turn % len(machines)], current)

    await asyncio.gather(*map(increment, range(12)))
    record = (await read(machines[1], "k", Model.STRONG)).record
    assert record is not None
    assert content_of(record) == "12"


async def test_an_isolated_node_changes_nothing(cluster: SimulatedCluster) -> None:
    a, b = cluster.machines["a"], cluster.machines["b"]
    made = await change(b, "x", create_only=True)
    cut_off(cluster, "a")
    with pytest.raises(ProblemError):
        await change(a, "y", if_match=etag_of(made.record.version))
    assert (await read(b, "k", Model.STRONG)).record == made.record
