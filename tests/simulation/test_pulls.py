"""Pulls bring all of it or say nothing: anti-entropy, stable time, and the slots of a change."""

from collections.abc import Sequence

import msgspec
import pytest

from simulation.checks import is_settled
from simulation.cluster import Machine, SimulatedCluster
from simulation.network import SILENCE_S
from simulation.runs import RECORDS, fill
from simulation.steps import (
    answer_of,
    cut_off,
    damage,
    held,
    in_phase,
    packed,
    place_of,
    plant,
    write,
)
from spine_core.records.versions import hlc_of
from spine_core.replication.pull_sources import displaced_by
from spine_core.replication.replica_status import ReplicaStatus
from spine_core.scalars import Slot, StoreNumber
from spine_core.topology.document import Phase
from spine_node.engine.replication.anti_entropy import PULL_ROUND_S
from spine_node.engine.replication.pull_server import PullLimits
from spine_node.engine.replication.transfer_progress import PullCheckpoint
from spine_node.ports import WriteOutcome
from spine_node.store.operations import MergePage, RaiseFloor


def row(machine: Machine) -> dict[int, int]:
    """Return the machine's row of the sync matrix."""
    return {int(store): hlc for store, hlc in machine.node.anti_entropy.row().items()}


def lacking(machine: Machine, count: int) -> int:
    """Return how many of the planted records a store lacks."""
    return sum(held(machine, f"planted-{number}") is None for number in range(count))


SMALL = {
    "keys": PullLimits(keys_max=3),
    "bytes": PullLimits(page_bytes_max=300),
    "records": PullLimits(page_records_max=2),
}


@pytest.mark.parametrize(
    "small",
    [
        pytest.param(limits, marks=pytest.mark.cluster(pull_limits=limits), id=name)
        for name, limits in SMALL.items()
    ],
)
async def test_a_pull_of_many_answers_brings_every_record(
    cluster: SimulatedCluster, small: PullLimits
) -> None:
    a, b = cluster.machines["a"], cluster.machines["b"]
    await plant(a, 100)
    before = row(b)[1]
    await cluster.until(lambda: row(b)[1] > before, "b has pulled from a")
    assert lacking(b, 100) == 0
    await cluster.until(lambda: is_settled(cluster), "all hold the same")


async def test_a_pull_that_is_cut_moves_no_row(cluster: SimulatedCluster) -> None:
    a, b = cluster.machines["a"], cluster.machines["b"]
    await plant(a, 100)
    before = row(b)
    cut = cluster.network.rules.refuse("fetch", by=b.url)
    await cluster.until(lambda: not lacking(cluster.machines["c"], 100), "c has pulled from a")
    behind = row(b)[3]  # of a pull that may have begun before c had them
    await cluster.sleep(3 * PULL_ROUND_S)
    assert (row(b)[1], row(b)[3]) == (before[1], behind)
    assert lacking(b, 100) == 100
    assert cut.requests
    cut.end()
    await cluster.until(lambda: row(b)[1] > before[1], "b has pulled from a")
    assert lacking(b, 100) == 0


async def test_a_row_says_when_the_pull_began_not_when_it_ended(cluster: SimulatedCluster) -> None:
    a, b = cluster.machines["a"], cluster.machines["b"]
    before = row(b)[1]
    slow = cluster.network.rules.delay("roots", 3.0, to=a.url)
    await cluster.until(lambda: row(b)[1] > before, "b has pulled from a")
    assert row(b)[1] <= slow.requests[-1].header.hlc


GARBAGE: Sequence[object] = (None, 7, [], [[]], ["x"], {"a": 1}, [[b"k", b"v"]], [None, 1, 2])


@pytest.mark.parametrize("method", ["roots", "buckets", "keys", "fetch", "page", "gossip", "get"])
@pytest.mark.parametrize("garbage", GARBAGE, ids=repr)
async def test_a_peer_that_answers_nonsense_ends_nothing(
    cluster: SimulatedCluster, method: str, garbage: object
) -> None:
    a, b, c = (cluster.machines[seat] for seat in "abc")
    await plant(a, 10)
    rules = cluster.network.rules
    rules.refuse(method, to=a.url, status=ReplicaStatus.OK, body=packed(garbage))
    await cluster.sleep(2 * PULL_ROUND_S)
    assert cluster.failures == []
    assert b.process is not None
    assert lacking(c, 10) + lacking(b, 10) in {0, 10, 20}
    await write(b, "k", "works")


METHODS = ["put", "get", "roots", "buckets", "keys", "fetch", "page", "gossip", "query", "topology"]
OTHER_ROWS = [{"store": 1, "row": {1: ["yesterday"]}}, {}]  # more than one number per source


async def test_a_peer_that_asks_nonsense_ends_nothing(cluster: SimulatedCluster) -> None:
    a = cluster.machines["a"]
    for method in METHODS:
        for garbage in (*GARBAGE, OTHER_ROWS):
            answer, _ = await answer_of(a, method, garbage, epoch=1)
            assert answer in {"ok", "error"}
    assert cluster.failures == []
    await write(a, "k", "works")


async def test_a_full_queue_of_the_writer_ends_nothing(cluster: SimulatedCluster) -> None:
    a, b = cluster.machines["a"], cluster.machines["b"]
    full = b.up.writer.refuse(MergePage)
    await plant(a, 10)
    before = row(b)[1]
    await cluster.sleep(2 * PULL_ROUND_S)
    assert (cluster.failures, row(b)[1]) == ([], before)
    assert full.met
    full.end()
    await cluster.until(lambda: lacking(b, 10) == 0, "b has pulled from a")


# ---- the slots of a change


async def joining_slowly(cluster: SimulatedCluster, bytes_per_s: int = 20_000) -> Machine:
    """Fill the cluster, let d join slowly, and return it when it has pulled some slots."""
    await fill(cluster)
    cluster.bytes_per_s = bytes_per_s
    cluster.want("a b c d")
    d = cluster.machines["d"]
    d.start()
    await cluster.until(lambda: len(pulled(d)) > 5, "d has pulled some slots")
    return d


async def joiner(cluster: SimulatedCluster) -> Machine:
    """Let d begin to join; return it once it knows the change."""
    cluster.want("a b c d")
    d = cluster.machines["d"]
    d.start()
    await cluster.until(lambda: d.node.membership.epoch == 2, "d knows the change")
    return d


def pulled(machine: Machine) -> frozenset[int]:
    """Return the gained slots that a joiner reports as pulled."""
    progress = machine.node.slot_transfer._transfers.follow(machine.node.membership.member)
    return frozenset(progress.pulled) if progress else frozenset()


async def test_a_joiner_that_restarts_goes_on_from_its_durable_checkpoints(
    cluster: SimulatedCluster,
) -> None:
    d = await joining_slowly(cluster)
    before = pulled(d)
    await d.crash()
    d.start()
    assert pulled(d) >= before
    for slot in before:
        assert d.node.store.root(slot) == root_of(cluster, slot)
    gained = d.node.membership.member_view().placement.gained()[StoreNumber(4)]
    assert len(before) < len(gained), "the join was over too soon"
    await cluster.until(lambda: in_phase(cluster, Phase.STABLE), "d has joined")
    again = d.node.metrics.pull_records.labels("change")._value.get()
    assert 0 < again < RECORDS


def root_of(cluster: SimulatedCluster, slot: int) -> bytes:
    """Return the digest that the replicas of a slot agree on."""
    members = [cluster.machines[seat].node for seat in "abc"]
    (root,) = {node.store.root(slot) for node in members}
    return root


def sources_in_checkpoints(machine: Machine, slots: frozenset[int]) -> dict[int, tuple[int, ...]]:
    """Return slot → the stores it was pulled from."""
    raws = {slot: machine.node.store.pull_checkpoint(slot) for slot in slots}
    decode = msgspec.msgpack.Decoder(PullCheckpoint).decode
    return {slot: tuple(sorted(decode(raw).sources)) for slot, raw in raws.items() if raw}


async def test_each_gained_slot_is_pulled_from_the_store_it_displaces(
    cluster: SimulatedCluster,
) -> None:
    d = await joining_slowly(cluster)
    placement = d.node.membership.member_view().placement
    gained = placement.gained()[StoreNumber(4)]
    await cluster.until(lambda: pulled(d) == gained, "d has pulled all")
    expected = {slot: (displaced_by(placement, slot, StoreNumber(4)),) for slot in gained}
    assert sources_in_checkpoints(d, gained) == expected


async def test_two_others_stand_in_for_a_source_that_is_down(cluster: SimulatedCluster) -> None:
    b, c = cluster.machines["b"], cluster.machines["c"]
    await fill(cluster)
    for machine in cluster.machines.values():
        cluster.network.rules.refuse("buckets", by=machine.url)
    last: list[WriteOutcome] = []
    for absent in "ca":  # some are on a and b alone, others on b and c
        cut_off(cluster, absent, "abc".replace(absent, ""))
        last += [await write(b, f"last-{len(last) + n}", "x") for n in range(100)]
        await cluster.sleep(SILENCE_S + 1)
        cluster.network.cuts.clear()
        await cluster.sleep(1.0)
    cluster.bytes_per_s = 0
    d = await joiner(cluster)
    await c.crash()
    d.node.operations.set_pace(bytes_per_s=1 << 30, slots=4)
    placement = d.node.membership.member_view().placement
    gained = placement.gained()[StoreNumber(4)]
    await cluster.until(lambda: pulled(d) == gained, "d has pulled all")
    from_c = {slot for slot in gained if displaced_by(placement, slot, StoreNumber(4)) == 3}
    assert from_c
    sources = sources_in_checkpoints(d, gained)
    assert {sources[slot] for slot in from_c} == {(1, 2)}
    assert {sources[slot] for slot in gained - from_c} <= {(1,), (2,)}
    for number, done in enumerate(last):
        if place_of(f"last-{number}")[0] in from_c:
            assert held(d, f"last-{number}") == done.record.version


async def test_two_others_stand_in_for_a_source_whose_copy_is_damaged(
    cluster: SimulatedCluster,
) -> None:
    await fill(cluster)
    for number in range(RECORDS):
        damage(cluster.machines["a"], f"filler-{number}")
    d = await joiner(cluster)
    placement = d.node.membership.member_view().placement
    gained = placement.gained()[StoreNumber(4)]
    await cluster.until(lambda: pulled(d) == gained, "d has pulled all")
    sources = sources_in_checkpoints(d, gained)
    from_a = {slot for slot in gained if displaced_by(placement, slot, StoreNumber(4)) == 1}
    assert (2, 3) in {sources[slot] for slot in from_a}
    for slot in gained:
        assert d.node.store.root(slot) == cluster.machines["b"].node.store.root(slot) or (
            slot not in cluster.machines["b"].node.store.owned
        )


async def test_a_source_that_hangs_holds_up_the_slots_of_no_other(
    cluster: SimulatedCluster,
) -> None:
    await fill(cluster)
    cluster.network.rules.lose("page", to=cluster.machines["a"].url)
    d = await joiner(cluster)
    placement = d.node.membership.member_view().placement
    gained = placement.gained()[StoreNumber(4)]
    others = {slot for slot in gained if displaced_by(placement, slot, StoreNumber(4)) != 1}
    await cluster.until(lambda: pulled(d) >= others, "d has pulled from b and c")
    assert pulled(d) < gained


async def test_a_joiner_takes_over_old_records_below_the_floor_and_the_floor_after_them(
    cluster: SimulatedCluster,
) -> None:
    await fill(cluster)
    await cluster.sleep(PULL_ROUND_S)
    floor = cluster.nodes[0].hlc.now()
    for node in cluster.nodes:
        for slot in range(64):
            await node.store.submit(RaiseFloor(slot, floor))
    before = {slot: node.store.root(slot) for node in cluster.nodes for slot in range(64)}
    cluster.want("a b c d")
    d = cluster.machines["d"]
    d.start()
    await cluster.until(lambda: in_phase(cluster, Phase.STABLE), "d has joined")
    gained = d.node.membership.member_view().placement.slots_of(StoreNumber(4))
    assert {slot: d.node.store.root(slot) for slot in gained} == {
        slot: before[slot] for slot in gained
    }
    assert all(d.node.store.floor(slot) == floor for slot in gained)


async def test_a_suspended_change_pulls_nothing_until_it_goes_on(
    cluster: SimulatedCluster,
) -> None:
    d = await joining_slowly(cluster)
    d.node.operations.set_pace(bytes_per_s=20_000, slots=0)
    await cluster.sleep(5.0)
    before = pulled(d)
    await cluster.sleep(20.0)
    assert pulled(d) == before
    d.node.operations.set_pace(bytes_per_s=1 << 30, slots=4)
    await cluster.until(lambda: in_phase(cluster, Phase.STABLE), "d has joined")


async def test_stable_time_stands_still_while_a_replica_is_down(cluster: SimulatedCluster) -> None:
    a = cluster.machines["a"]
    done = await write(a, "k", "x")
    slot, _ = place_of("k")

    def stable() -> int:
        return a.node.stable.of(a.node.membership.member_view(), Slot(slot))

    await cluster.until(lambda: stable() >= hlc_of(done.record.version), "the write is stable")
    await cluster.machines["c"].crash()
    # The oldest row may be one between a and b, which goes on with their next round.
    await cluster.sleep(SILENCE_S + 2 * PULL_ROUND_S)
    before = stable()
    await cluster.sleep(5 * PULL_ROUND_S)
    assert stable() == before
    cluster.machines["c"].start()
    await cluster.until(lambda: stable() > before, "stable time goes on")
