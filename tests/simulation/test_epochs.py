"""Where epochs meet: nobody serves another epoch's request, and documents find their way."""

from collections.abc import Callable

import pytest

from simulation.clients import NAMESPACE, TIMEOUT_S
from simulation.cluster import SimulatedCluster
from simulation.layout import SLOTS
from simulation.loop import virtual_loop
from simulation.steps import answer_of, call, held, place_of, problem_of, read, write
from spine_core.errors import ProblemError
from spine_core.records.consistency import Model
from spine_core.records.encoding import Record, encode
from spine_core.records.versions import make_version
from spine_core.replication.put_rules import PutKind
from spine_core.scalars import Origin, Slot, StoreNumber
from spine_core.topology.document import Document, Phase, StoreInfo
from spine_node.engine.cluster.replica import PUT, GetCall, PutCall, document_in
from spine_node.engine.replication.pull_server import (
    FetchCall,
    KeysCall,
    PageCall,
    SlotBuckets,
    SlotsCall,
)
from spine_node.links.frames import EMPTY
from spine_node.links.mesh import CallError
from spine_node.search.messages import QueryCall, slots_to_bytes
from spine_node.store import checksum
from spine_node.store.operations import PutRecord

NOBODY = "99999999-9999-4999-8999-999999999999"


def next_document(cluster: SimulatedCluster) -> Document:
    """Return a document of the next epoch: somebody joins who will never come."""
    assert cluster.document is not None
    nobody = StoreInfo(id=NOBODY, seat="z", zone="z", url="z:8788")
    return cluster.document.with_change("join", joining=(nobody,), now_ms=0)


def put_body(cluster: SimulatedCluster, key: str) -> PutCall:
    slot, place = place_of(key)
    version = make_version(cluster.machines["a"].node.hlc.now(), Origin(9))
    raw = encode(Record(version=version, op=1, body=b"\x00\x00{}"), checksum)
    return PutCall([PutRecord(place, Slot(slot), raw)], PutKind.WRITE)


BODIES: dict[str, Callable[[SimulatedCluster], object]] = {
    "put": lambda cluster: put_body(cluster, "k"),
    "get": lambda _: GetCall(Slot(place_of("k")[0]), place_of("k")[1]),
    "roots": lambda _: SlotsCall([Slot(place_of("k")[0])]),
    "buckets": lambda _: SlotsCall([Slot(place_of("k")[0])]),
    "keys": lambda _: KeysCall([SlotBuckets(Slot(place_of("k")[0]), [0])], None),
    "fetch": lambda _: FetchCall([place_of("k")[1]]),
    "page": lambda _: PageCall(Slot(place_of("k")[0]), None),
    "query": lambda _: listing(),
}


@pytest.mark.parametrize("method", BODIES)
async def test_a_request_of_an_older_epoch_is_answered_with_the_document(
    cluster: SimulatedCluster, method: str
) -> None:
    a = cluster.machines["a"]
    document = next_document(cluster)
    await a.up.ask(a.node.operations.adopt(document.canonical()))
    answer, body = await answer_of(a, method, BODIES[method](cluster), epoch=1)
    assert (answer, document_in(body)) == ("stale-epoch", document.canonical())
    assert held(a, "k") is None


@pytest.mark.parametrize("method", BODIES)
async def test_a_request_of_a_newer_epoch_asks_for_the_document(
    cluster: SimulatedCluster, method: str
) -> None:
    a = cluster.machines["a"]
    answer, _ = await answer_of(a, method, BODIES[method](cluster), epoch=2)
    assert answer == "need-document"
    assert held(a, "k") is None


@pytest.mark.parametrize("method", BODIES)
async def test_a_node_without_a_document_gives_no_data(
    cluster: SimulatedCluster, method: str
) -> None:
    cluster.paused = True
    cluster.want("a b c d")
    d = cluster.machines["d"]
    d.start()
    answer, body = await answer_of(d, method, BODIES[method](cluster), epoch=1)
    assert answer in {"need-document", "misdirected"}
    assert body == EMPTY
    for act in (write(d, "k", "x"), read(d, "k", Model.EVENTUAL)):
        with pytest.raises(ProblemError) as refused:
            await act
        assert refused.value.code == "not-ready"
    assert d.node.operations.ready() is not None


async def test_a_node_that_its_document_no_longer_names_gives_no_data(
    cluster: SimulatedCluster,
) -> None:
    cluster.want("a b c d")
    d = cluster.machines["d"]
    d.start()
    await cluster.until(lambda: at_epoch(cluster, 4), "d has joined")
    await write(d, "k", "x")
    cluster.want("a b c")
    await cluster.until(lambda: cluster.published[-1].epoch == 7, "d is drained")
    cluster.paused = True
    for seat in "abc":
        process = cluster.machines[seat].up
        await process.ask(process.node.operations.adopt(cluster.published[-1].canonical()))
    await cluster.until(lambda: at_epoch(cluster, 7), "d has heard of it")
    answer, body = await answer_of(d, "get", BODIES["get"](cluster), epoch=7)
    assert (answer, body) == ("misdirected", EMPTY)
    answer, body = await answer_of(d, "put", put_body(cluster, "k"), epoch=7)
    assert (answer, PUT.reply_in(body).of(0)) == ("ok", "misdirected")


def at_epoch(cluster: SimulatedCluster, epoch: int) -> bool:
    return all(node.membership.epoch == epoch for node in cluster.nodes)


async def test_our_own_copy_is_not_read_under_an_older_epoch(cluster: SimulatedCluster) -> None:
    cluster.paused = True
    a = cluster.machines["a"]
    view = a.node.membership.member_view()
    slot, place = place_of("k")
    assert await a.up.ask(a.node.replicas.get(view, StoreNumber(1), Slot(slot), place, 1.0)) == (
        None,
        0,
    )
    await a.up.ask(a.node.operations.adopt(next_document(cluster).canonical()))
    with pytest.raises(CallError):
        await a.up.ask(a.node.replicas.get(view, StoreNumber(1), Slot(slot), place, 1.0))
    with pytest.raises(CallError, match="stale-epoch"):
        a.node.replicas.own(view, place)


def listing() -> QueryCall:
    """Return the call for everything."""
    return QueryCall(
        namespace=NAMESPACE, subtree=False, filter=b"{}", order="id", after=None, limit=10,
        slots=slots_to_bytes((1 << SLOTS) - 1), fresh=True, now_ms=0,
    )  # fmt: skip


async def test_a_page_that_an_adoption_overtakes_is_no_answer(cluster: SimulatedCluster) -> None:
    cluster.paused = True
    a, b = cluster.machines["a"], cluster.machines["b"]
    virtual_loop().executor_s = 0.5  # for a page of the index
    asked = call(b, "query", listing(), epoch=1)
    peers = a.node.lists._replicas
    page = peers.query(peers.placement(), StoreNumber(1), listing(), cluster.now_s + TIMEOUT_S)
    asking = a.up.create_task(page)
    await cluster.sleep(0.1)
    for machine in (a, b):
        await machine.up.ask(machine.node.operations.adopt(next_document(cluster).canonical()))
    assert not asking.done()
    assert not asked
    assert await asking is None
    await cluster.until(lambda: bool(asked), "b answers")
    assert asked[0][0] == "stale-epoch"


def cut_gossip(cluster: SimulatedCluster) -> None:
    """Let nodes hear of each other by requests of clients alone."""
    cluster.network.rules.lose("gossip")
    cluster.network.rules.lose("roots")


async def test_a_coordinator_that_is_behind_learns_from_the_refusals_and_succeeds(
    cluster: SimulatedCluster,
) -> None:
    a, b, c = (cluster.machines[seat] for seat in "abc")
    cluster.paused = True
    document = next_document(cluster)
    cut_gossip(cluster)
    await cluster.sleep(1.0)
    for machine in (b, c):
        await machine.up.ask(machine.node.operations.adopt(document.canonical()))
    done = await write(a, None, "x")  # a create looks at no replica before it writes
    assert a.node.membership.epoch == 2
    copies = [held(machine, done.memory_id) for machine in (a, b, c)]
    assert copies.count(done.record.version) >= 2


async def test_replicas_that_are_behind_get_the_document_from_the_coordinator(
    cluster: SimulatedCluster,
) -> None:
    a, b, c = (cluster.machines[seat] for seat in "abc")
    cluster.paused = True
    cut_gossip(cluster)
    document = next_document(cluster)
    await a.up.ask(a.node.operations.adopt(document.canonical()))
    await write(a, None, "x")
    epochs = [machine.node.membership.epoch for machine in (a, b, c)]
    assert epochs.count(2) >= 2


async def test_a_document_that_one_node_was_given_reaches_all_by_gossip(
    cluster: SimulatedCluster,
) -> None:
    cluster.paused = True
    a = cluster.machines["a"]
    await a.up.ask(a.node.operations.adopt(next_document(cluster).canonical()))
    begun_s = cluster.now_s
    await cluster.until(
        lambda: [node.membership.epoch for node in cluster.nodes] == [2, 2, 2],
        "all are at epoch 2",
    )
    assert cluster.now_s - begun_s < 3.0


def without_a(cluster: SimulatedCluster) -> Document:
    """Return the document after a has been drained."""
    assert cluster.document is not None
    draining = cluster.document.with_change("drain", leaving=frozenset({"a"}), now_ms=0)
    return draining.switched().committed(now_ms=0)


def key_of_a(cluster: SimulatedCluster) -> str:
    """Return a key of which a holds a replica."""
    placement = cluster.machines["a"].node.membership.member_view().placement
    keys = (f"k{number}" for number in range(100))
    return next(key for key in keys if 1 in placement.write_set(Slot(place_of(key)[0])))


@pytest.mark.cluster(seats="a b c d")
async def test_a_node_that_left_its_cluster_in_the_middle_of_a_write_says_what_it_knows(
    cluster: SimulatedCluster,
) -> None:
    cluster.paused = True
    a = cluster.machines["a"]
    for seat in "bcd":
        await cluster.machines[seat].crash()
    await cluster.sleep(1.0)
    writing = a.up.create_task(problem_of(a, key_of_a(cluster)))
    await cluster.sleep(0.5)
    await a.up.ask(a.node.operations.adopt(without_a(cluster).canonical()))
    problem = await writing
    assert problem is not None
    assert "left the cluster" in problem.detail
    assert (problem.code, problem.outcome) == ("quorum-unavailable", "indeterminate")


@pytest.mark.cluster(seats="a b c d")
async def test_a_write_that_was_acknowledged_while_this_node_left_is_answered_so(
    cluster: SimulatedCluster,
) -> None:
    cluster.paused = True
    a = cluster.machines["a"]
    cluster.network.rules.lose("gossip")
    cluster.network.rules.delay("put", 0.3, by=a.url)
    writing = a.up.create_task(write(a, key_of_a(cluster), "x"))
    await cluster.sleep(0.1)
    await a.up.ask(a.node.operations.adopt(without_a(cluster).canonical()))
    assert not writing.done()
    done = await writing
    assert (done.acks, done.replicas) == (2, 3)


async def test_the_phases_of_a_change_are_published_one_barrier_after_the_other(
    cluster: SimulatedCluster,
) -> None:
    cluster.want("a b c d")
    cluster.machines["d"].start()
    seen: list[Phase] = []
    while len(cluster.published) < 4:
        assert cluster.document is not None
        before = cluster.document.epoch
        behind = [node for node in cluster.nodes if node.membership.epoch < before - 1]
        assert len(behind) <= 1, "an epoch was published before a quorum had the one before"
        seen.append(cluster.document.phase)
        await cluster.sleep(0.01)
    assert list(dict.fromkeys(seen)) == [Phase.STABLE, Phase.PREPARE, Phase.SWITCH]
