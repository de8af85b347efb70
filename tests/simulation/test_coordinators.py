"""Single writes whose outcome a run of many would only meet by chance."""

import asyncio

import pytest

from simulation.clients import TIMEOUT_S
from simulation.cluster import SimulatedCluster
from simulation.steps import (
    answer_of,
    cut_off,
    damage,
    hang,
    held,
    place_of,
    planted,
    problem_of,
    read,
    write,
)
from spine_core.errors import ProblemError
from spine_core.records.consistency import Model
from spine_core.records.encoding import encode, version_in
from spine_core.records.hlc import MAX_DRIFT_MS, MAX_WRITE_MS
from spine_core.records.sessions import Session
from spine_core.records.versions import STRONG, hlc_from_ms, hlc_of, kind_of, make_version
from spine_core.replication.put_rules import PutKind
from spine_core.scalars import HLC_ZERO, Hlc, Origin, Slot
from spine_node.engine.cluster.replica import GET, PUT, GetCall, GetReply, PutCall
from spine_node.store import checksum
from spine_node.store.operations import Put


async def test_a_write_behind_a_faster_clock_is_stamped_above_it(cluster: SimulatedCluster) -> None:
    a, b = cluster.machines["a"], cluster.machines["b"]
    a.clock.offset_ms = 900
    first = await write(a, "k", "first")
    second = await write(b, "k", "second")
    assert second.record.version > first.record.version
    assert (await read(a, "k", Model.CAUSAL)).record == second.record


async def test_a_write_waits_for_its_clock_below_a_version_too_far_ahead(
    cluster: SimulatedCluster,
) -> None:
    ahead = make_version(hlc_from_ms(cluster.machines["a"].clock.physical_ms() + 1800), Origin(9))
    for seat in "ab":
        await cluster.machines[seat].node.store.submit(planted("k", ahead))
    done = await write(cluster.machines["c"], "k", "above")
    assert done.record.version > ahead


async def test_an_acknowledged_write_is_on_two_disks(cluster: SimulatedCluster) -> None:
    cut_off(cluster, "c")
    done = await write(cluster.machines["a"], "k", "x")
    for machine in list(cluster.machines.values()):
        await machine.crash()
        machine.start()
    copies = [held(cluster.machines[seat], "k") for seat in "ab"]
    assert copies == [done.record.version] * 2


async def test_a_write_without_a_quorum_says_whether_it_may_have_applied(
    cluster: SimulatedCluster,
) -> None:
    await cluster.machines["b"].crash()
    await cluster.machines["c"].crash()
    await cluster.sleep(1.0)
    problem = await problem_of(cluster.machines["a"], "k")
    assert problem is not None
    assert (problem.code, problem.outcome) == ("quorum-unavailable", "indeterminate")
    assert held(cluster.machines["a"], "k") is not None


async def test_a_write_whose_deadline_has_passed_was_not_applied(cluster: SimulatedCluster) -> None:
    await write(cluster.machines["a"], "other", "the mark of the clock is ahead now")
    problem = await problem_of(cluster.machines["a"], "k", timeout_s=0.0)
    assert problem is not None
    assert (problem.code, problem.outcome) == ("quorum-unavailable", "not-applied")
    await cluster.sleep(1.0)
    assert {held(machine, "k") for machine in cluster.machines.values()} == {None}


async def test_a_write_is_answered_in_time_though_the_disk_of_its_node_hangs(
    cluster: SimulatedCluster,
) -> None:
    a = cluster.machines["a"]
    hang(a)
    await cluster.sleep(1.0)  # the mark below which it may stamp is used up
    asking = asyncio.create_task(problem_of(a, "k"))
    await asyncio.wait({asking}, timeout=TIMEOUT_S + 0.1)
    assert asking.done()
    problem = asking.result()
    assert problem is not None
    assert (problem.code, problem.outcome) == ("quorum-unavailable", "not-applied")


@pytest.mark.parametrize(
    ("model", "tags"),
    [(Model.STRONG, ()), (None, ("lock",)), (Model.EVENTUAL, ("note", "critical"))],
)
async def test_a_write_that_must_be_strong_makes_a_register_on_every_replica(
    cluster: SimulatedCluster, model: Model | None, tags: tuple[str, ...]
) -> None:
    done = await write(cluster.machines["a"], "k", "x", model=model, tags=tags)
    assert kind_of(done.record.version) == STRONG
    await cluster.sleep(1.0)
    held_by = {held(machine, "k") for machine in cluster.machines.values()}
    assert held_by == {done.record.version}


async def test_an_attempt_that_nothing_superseded_is_repeated_with_its_version(
    cluster: SimulatedCluster,
) -> None:
    a, b, c = (cluster.machines[seat] for seat in "abc")
    rules = cluster.network.rules
    refused = [rules.refuse("put", to=machine.url, times=1) for machine in (b, c)]
    repeated = [rules.watch("put", to=machine.url) for machine in (b, c)]
    done = await write(a, "k", "x")
    await cluster.sleep(1.0)
    for rule in (*refused, *repeated):
        versions = {
            version_in(PUT.request_in(frame.bodies[0]).records[0].raw) for frame in rule.requests
        }
        assert versions == {done.record.version}


async def test_a_write_is_stamped_above_all_that_its_session_has_seen(
    cluster: SimulatedCluster,
) -> None:
    a = cluster.machines["a"]
    seen = a.node.hlc.now() + hlc_from_ms(MAX_DRIFT_MS - 100)
    done = await write(a, "k", "x", session=Session(t=Hlc(seen)))
    assert hlc_of(done.record.version) > seen
    far = Session(t=Hlc(a.node.hlc.now() + hlc_from_ms(2 * MAX_DRIFT_MS)))
    with pytest.raises(ProblemError) as refused:
        await write(a, "k", "y", session=far)
    assert (refused.value.code, refused.value.outcome) == ("clock-skew", "not-applied")


async def test_a_create_that_comes_too_late_is_stamped_anew(cluster: SimulatedCluster) -> None:
    a = cluster.machines["a"]
    await write(a, "k", "the clock may issue some more")
    late_s = MAX_WRITE_MS / 1000 + 1.0
    hang(a)
    slow = cluster.network.rules.delay("put", late_s, by=a.url)
    writing = a.up.create_task(write(a, None, "created", timeout_s=3 * late_s))
    await cluster.sleep(late_s - 0.5)
    late = {version_in(PUT.request_in(frame.bodies[0]).records[0].raw) for frame in slow.requests}
    slow.end()
    await cluster.sleep(1.0)
    a.up.writer.resume()
    done = await writing
    assert late
    assert done.record.version > max(late)
    assert done.created


async def test_a_create_is_made_once_per_idempotency_key(cluster: SimulatedCluster) -> None:
    first = await write(cluster.machines["a"], None, "once", idempotency_key="k1")
    again = await write(cluster.machines["b"], None, "once", idempotency_key="k1")
    assert (again.memory_id, again.record, again.replayed) == (
        first.memory_id,
        first.record,
        True,
    )


async def test_a_key_that_was_used_with_another_body_is_refused(cluster: SimulatedCluster) -> None:
    await write(cluster.machines["a"], None, "once", idempotency_key="k1")
    with pytest.raises(ProblemError) as refused:
        await write(cluster.machines["b"], None, "other", idempotency_key="k1")
    assert refused.value.code == "idempotency-key-reused"


@pytest.mark.parametrize("ended", ["deleted", "expired"])
async def test_a_retry_of_a_create_whose_memory_has_ended_is_told_so(
    cluster: SimulatedCluster, ended: str
) -> None:
    a = cluster.machines["a"]
    ttl = 1 if ended == "expired" else None
    first = await write(a, None, "once", idempotency_key="k1", ttl_seconds=ttl)
    if ended == "deleted":
        await write(a, first.memory_id, None)
    await cluster.sleep(2.0)
    with pytest.raises(ProblemError) as refused:
        await write(cluster.machines["b"], None, "once", idempotency_key="k1")
    assert refused.value.code == "gone"


async def test_a_create_that_an_earlier_attempt_has_made_meanwhile_answers_with_that_one(
    cluster: SimulatedCluster,
) -> None:
    a, b = cluster.machines["a"], cluster.machines["b"]
    slow = cluster.network.rules.delay("put", 0.5, by=b.url)
    cluster.network.rules.refuse("get", to=b.url, by=a.url)  # b holds what it puts already
    writing = asyncio.create_task(write(b, None, "once", idempotency_key="k1"))
    await cluster.until(lambda: bool(slow.requests), "b has looked, and puts")
    first = await write(a, None, "once", idempotency_key="k1")
    assert not first.replayed
    again = await writing
    assert (again.memory_id, again.record) == (first.memory_id, first.record)


async def test_what_an_early_attempt_may_have_left_is_not_forgotten_by_a_later_one(
    cluster: SimulatedCluster,
) -> None:
    for seat in "bc":
        await cluster.machines[seat].crash()
    await cluster.sleep(1.0)
    a = cluster.machines["a"]
    full = a.up.writer.refuse(Put, after=1)
    problem = await problem_of(a, "k")
    assert full.met
    assert problem is not None
    assert problem.outcome == "indeterminate"


async def test_a_source_restarted_with_its_clock_set_back_takes_no_write_that_is_too_late(
    cluster: SimulatedCluster,
) -> None:
    a, b = cluster.machines["a"], cluster.machines["b"]
    stamped = make_version(b.node.hlc.now(), Origin(2))
    slot, _ = place_of("late")
    await cluster.sleep(30.0)  # rounds of pulls: stable time has passed the stamp
    assert b.node.stable.of(b.node.membership.member_view(), Slot(slot)) > hlc_of(stamped)
    await a.crash()
    a.clock.offset_ms = -3_600_000
    a.start()
    put = planted("late", stamped)
    call = PutCall(list(put.records), PutKind.WRITE)
    answer, body = await answer_of(a, "put", call, epoch=1)
    assert (answer, PUT.reply_in(body).of(0)) == ("ok", "late")


async def test_a_copy_of_a_peer_is_answered_with_the_floor(cluster: SimulatedCluster) -> None:
    a = cluster.machines["a"]
    done = await write(a, "k", "x")
    slot, place = place_of("k")
    answer, body = await answer_of(a, "get", GetCall(Slot(slot), place), epoch=1)
    assert answer == "ok"
    assert GET.reply_in(body) == GetReply(encode(done.record, checksum), HLC_ZERO)
    answer, body = await answer_of(a, "get", GetCall(Slot(slot), place[:2] + b"none"), epoch=1)
    assert (answer, GET.reply_in(body)) == ("ok", GetReply(None, HLC_ZERO))


async def test_a_caller_that_knows_the_version_is_told_it_without_the_copy(
    cluster: SimulatedCluster,
) -> None:
    a = cluster.machines["a"]
    old = await write(a, "k", "old")
    new = await write(a, "k", "new", session=old.session)
    raw, version = encode(new.record, checksum), new.record.version
    slot, place = place_of("k")
    for known, reply in (
        (old.record.version, GetReply(raw, HLC_ZERO)),
        (version, GetReply(None, HLC_ZERO, version)),
    ):
        answer, body = await answer_of(a, "get", GetCall(Slot(slot), place, known), epoch=1)
        assert (answer, GET.reply_in(body)) == ("ok", reply)
    damage(a, "k")
    _, body = await answer_of(a, "get", GetCall(Slot(slot), place, version), epoch=1)
    reply = GET.reply_in(body)
    assert reply.version is None  # the caller finds the damage in the copy
    assert reply.record is not None
