"""Single reads of each model: how old an answer may be, and what it costs not to be older."""

import pytest

from simulation.cluster import Machine, SimulatedCluster
from simulation.network import SILENCE_S
from simulation.steps import (
    cut_off,
    damage,
    held,
    leave_over,
    place_of,
    planted,
    read,
    write,
)
from spine_core.errors import ProblemError
from spine_core.records.consistency import ORDER, Consistency, Model, Override
from spine_core.records.encoding import FLAG_TOMBSTONE, Record, encode
from spine_core.records.sessions import Session
from spine_core.records.versions import ABSENT, hlc_from_ms, hlc_of, make_version
from spine_core.scalars import Hlc, Origin, Slot, StoreNumber
from spine_node.engine.cluster.configuration import Configuration
from spine_node.engine.cluster.replica import GET
from spine_node.engine.cluster.replica_client import LATE_MAX_S
from spine_node.store import checksum
from spine_node.store.operations import RaiseFloor


async def test_a_quorum_read_shows_nothing_that_a_later_one_misses(
    cluster: SimulatedCluster,
) -> None:
    a, b, c = (cluster.machines[seat] for seat in "abc")
    version = make_version(hlc_from_ms(a.clock.physical_ms()), Origin(1))
    await a.node.store.submit(planted("k", version))  # in flight, or left by a crash
    cut_off(cluster, "c")
    seen = await read(b, "k", Model.CAUSAL)
    assert seen.record is not None
    assert seen.record.version == version
    assert held(b, "k") == version
    cluster.network.cuts.clear()
    cut_off(cluster, "a")
    await cluster.sleep(8.0)
    later = await read(c, "k", Model.CAUSAL)
    assert later.record is not None
    assert later.record.version == version


async def test_what_cannot_be_written_back_is_not_shown(cluster: SimulatedCluster) -> None:
    a = cluster.machines["a"]
    version = make_version(hlc_from_ms(a.clock.physical_ms()), Origin(1))
    await a.node.store.submit(planted("k", version))
    cluster.network.rules.refuse("put", by=a.url)
    with pytest.raises(ProblemError) as refused:
        await read(a, "k", Model.CAUSAL)
    assert refused.value.code == "quorum-unavailable"


@pytest.mark.parametrize("model", ORDER)
async def test_a_session_has_seen_what_it_was_shown(
    cluster: SimulatedCluster, model: Model
) -> None:
    a = cluster.machines["a"]
    done = await write(a, "k", "x")
    await cluster.until(lambda: held(a, "k") is not None, "a holds it")
    assert (await read(a, "k", model)).session.t == hlc_of(done.record.version)


async def stale_at_c(
    cluster: SimulatedCluster, *, tags: tuple[str, ...] = ()
) -> tuple[Record, Record, Session]:
    """Write twice, the second time while c is cut off; return both and the writer's session.

    Pulls bring c nothing any more.
    """
    a, c = cluster.machines["a"], cluster.machines["c"]
    old = await write(a, "k", "old", tags=tags)
    await cluster.until(lambda: held(c, "k") == old.record.version, "c holds it")
    cut_off(cluster, "c")
    new = await write(a, "k", "new", session=old.session, tags=tags)
    await cluster.sleep(SILENCE_S + 1)  # what is under way to c is lost
    cluster.network.rules.refuse("buckets", by=c.url)
    cluster.network.cuts.clear()
    await cluster.until(lambda: c.node.mesh.up() == {1, 2}, "c is back")
    assert held(c, "k") == old.record.version
    return old.record, new.record, new.session


async def test_an_eventual_read_may_be_stale_and_no_other_is(cluster: SimulatedCluster) -> None:
    old, new, session = await stale_at_c(cluster)
    c = cluster.machines["c"]
    assert (await read(c, "k", Model.EVENTUAL)).record == old
    own = await read(c, "k", Model.READ_YOUR_WRITES, session=session)
    assert own.record == new
    assert held(c, "k") == old.version  # one replica was enough


@pytest.mark.cluster(seats="a b c d")
@pytest.mark.parametrize("model", [Model.EVENTUAL, Model.CAUSAL])
async def test_a_copy_of_a_slot_that_reads_ask_elsewhere_answers_nothing(
    cluster: SimulatedCluster, model: Model
) -> None:
    a, b = cluster.machines["a"], cluster.machines["b"]
    view = a.node.membership.member_view()
    names = (f"k{number}" for number in range(1000))
    key = next(k for k in names if view.number not in view.placement.read_set(Slot(place_of(k)[0])))
    old = await write(b, key, "old")
    leave_over(a, key, encode(old.record, checksum))
    new = await write(b, key, "new", session=old.session)
    await cluster.sleep(1.0)
    assert held(a, key) == old.record.version
    assert (await read(a, key, model)).record == new.record


@pytest.mark.parametrize("model", [Model.CAUSAL, Model.READ_YOUR_WRITES])
async def test_without_a_session_the_latest_write_is_found_by_a_quorum(
    cluster: SimulatedCluster, model: Model
) -> None:
    _, new, _ = await stale_at_c(cluster)
    assert (await read(cluster.machines["c"], "k", model)).record == new


async def test_an_own_write_that_the_token_has_forgotten_is_found_by_a_quorum(
    cluster: SimulatedCluster,
) -> None:
    _, new, session = await stale_at_c(cluster)
    forgotten = Session(t=session.t, o=session.t)
    c = cluster.machines["c"]
    assert (await read(c, "k", Model.READ_YOUR_WRITES, session=forgotten)).record == new


async def test_a_miss_is_believed_only_if_a_second_replica_misses_too(
    cluster: SimulatedCluster,
) -> None:
    a = cluster.machines["a"]
    version = make_version(hlc_from_ms(a.clock.physical_ms()), Origin(1))
    for seat in "bc":
        await cluster.machines[seat].node.store.submit(planted("k", version))
    found = (await read(a, "k", Model.EVENTUAL)).record
    assert found is not None
    assert found.version == version
    assert held(a, "k") is None


async def test_an_eventual_read_asks_as_many_replicas_as_the_cluster_says(
    cluster: SimulatedCluster,
) -> None:
    _, new, _ = await stale_at_c(cluster)
    c = cluster.machines["c"]
    c.node.configuration.now = Configuration(read_quorum=2)
    assert (await read(c, "k", Model.EVENTUAL)).record == new


async def test_a_record_whose_tags_ask_for_more_is_read_at_that_model(
    cluster: SimulatedCluster,
) -> None:
    _, new, _ = await stale_at_c(cluster, tags=("ledger",))
    c = cluster.machines["c"]
    overrides = (Override(frozenset({"ledger"}), Model.CAUSAL),)
    c.node.configuration.now = Configuration(consistency=Consistency(overrides=overrides))
    outcome = await read(c, "k", Model.EVENTUAL)
    assert (outcome.record, outcome.model) == (new, Model.CAUSAL)


async def test_an_own_deletion_that_is_purged_needs_no_quorum(cluster: SimulatedCluster) -> None:
    a = cluster.machines["a"]
    gone = await write(a, "k", None)
    slot, _ = place_of("k")
    await cluster.until(lambda: held(a, "k") is not None, "a holds it")
    await a.node.store.submit(RaiseFloor(slot, hlc_of(gone.record.version)))
    assert held(a, "k") is None
    seen = await read(a, "k", Model.READ_YOUR_WRITES, session=gone.session)
    assert seen.record is None
    assert a.node.metrics.session_fallbacks.labels("unsatisfied")._value.get() == 0


async def test_a_damaged_copy_sends_the_read_elsewhere(cluster: SimulatedCluster) -> None:
    a = cluster.machines["a"]
    done = await write(a, "k", "whole")
    await cluster.until(lambda: held(a, "k") == done.record.version, "a holds it")
    damage(a, "k")
    for model in (Model.EVENTUAL, Model.CAUSAL):
        assert (await read(a, "k", model)).record == done.record
    again = await write(a, "k", "mended")
    assert again.record.version > done.record.version


async def test_a_quorum_read_asks_one_other_for_its_version(cluster: SimulatedCluster) -> None:
    a = cluster.machines["a"]
    done = await write(a, "k", "x")
    await cluster.until(lambda: all(held(m, "k") for m in cluster.machines.values()), "all hold it")
    asked = cluster.network.rules.watch("get", by=a.url)
    assert (await read(a, "k", Model.CAUSAL)).record == done.record
    (frame,) = asked.requests
    assert GET.request_in(frame.bodies[0]).known == done.record.version


async def test_a_version_does_not_vouch_for_a_damaged_copy(cluster: SimulatedCluster) -> None:
    a, b = cluster.machines["a"], cluster.machines["b"]
    done = await write(a, "k", "x")
    await cluster.until(lambda: all(held(m, "k") for m in cluster.machines.values()), "all hold it")
    damage(b, "k")
    prefer(a, 2)
    assert (await read(a, "k", Model.CAUSAL)).record == done.record  # c has it too
    cut_off(cluster, "c")
    with pytest.raises(ProblemError, match="on store 2 is damaged"):
        await read(a, "k", Model.CAUSAL)


def prefer(machine: Machine, store: int, *, seconds: float = 0.001) -> None:
    """Let a store be the one whose answers to this machine came quickest."""
    for number in (1, 2, 3):
        for _ in range(50):  # until nothing is left of what was measured
            took_s = seconds if number == store else 0.02
            machine.node.replicas.note(StoreNumber(number), took_s)


async def test_where_one_is_late_another_is_asked_and_from_then_on_first(
    cluster: SimulatedCluster,
) -> None:
    a, b, c = (cluster.machines[seat] for seat in "abc")
    done = await write(a, "k", "x")
    await cluster.until(lambda: all(held(m, "k") for m in cluster.machines.values()), "all hold it")
    prefer(a, 2)
    silent = cluster.network.rules.lose("get", to=b.url, by=a.url)
    others = cluster.network.rules.watch("get", to=c.url, by=a.url)
    for _ in range(40):
        began = cluster.now_s
        assert (await read(a, "k", Model.CAUSAL)).record == done.record
        assert cluster.now_s - began < 1.0  # far below the deadline
    assert len(others.requests) == 40
    assert len(silent.requests) < 20


async def test_where_one_refuses_another_is_asked_at_once(cluster: SimulatedCluster) -> None:
    a, b = cluster.machines["a"], cluster.machines["b"]
    done = await write(a, "k", "x")
    await cluster.until(lambda: all(held(m, "k") for m in cluster.machines.values()), "all hold it")
    cluster.network.rules.refuse("get", to=b.url, by=a.url)
    took: list[float] = []
    for _ in range(5):
        prefer(a, 2, seconds=0.019)  # it would be late after the longest time there is
        began = cluster.now_s
        assert (await read(a, "k", Model.CAUSAL)).record == done.record
        took.append(cluster.now_s - began)
    assert min(took) < LATE_MAX_S


async def test_a_read_of_our_damaged_copy_needs_both_others(cluster: SimulatedCluster) -> None:
    a = cluster.machines["a"]
    done = await write(a, "k", "x")
    await cluster.until(lambda: all(held(m, "k") for m in cluster.machines.values()), "all hold it")
    damage(a, "k")
    asked = cluster.network.rules.watch("get", by=a.url)
    assert (await read(a, "k", Model.CAUSAL)).record == done.record
    assert {GET.request_in(frame.bodies[0]).known for frame in asked.requests} == {ABSENT}
    assert len(asked.requests) == 2


async def test_a_write_back_to_who_has_purged_the_tombstone_is_done(
    cluster: SimulatedCluster,
) -> None:
    a, b, c = (cluster.machines[seat] for seat in "abc")
    old = make_version(hlc_from_ms(a.clock.physical_ms() - 60_000), Origin(1))
    await a.node.store.submit(planted("k", old))
    slot, _ = place_of("k")
    for machine in (b, c):
        await machine.node.store.submit(RaiseFloor(slot, Hlc(hlc_of(old) + 1)))
    seen = await read(a, "k", Model.CAUSAL)
    assert seen.record is not None
    assert seen.record.flags & FLAG_TOMBSTONE


@pytest.mark.cluster(seats="a", factor=1)
async def test_a_damaged_record_without_another_copy_is_said_to_be_damaged(
    cluster: SimulatedCluster, caplog: pytest.LogCaptureFixture
) -> None:
    a = cluster.machines["a"]
    await write(a, "k", "whole")
    damage(a, "k")
    began = cluster.now_s
    for model in ORDER:
        with pytest.raises(ProblemError, match="on store 1 is damaged") as refused:
            await read(a, "k", model)
        assert refused.value.code == "quorum-unavailable"
    assert cluster.now_s - began < 1.0  # nobody waits for what cannot come
    told = [vars(r) for r in caplog.records if r.message == "record_damaged"]
    assert [(each["store"], each["id"]) for each in told] == [(1, "k")]
    again = await write(a, "k", "mended")
    assert (await read(a, "k", Model.STRONG)).record == again.record
