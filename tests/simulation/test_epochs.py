"""Where epochs meet: nobody serves another epoch's request, and documents find their way."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from simulation.clients import NAMESPACE, TIMEOUT_S
from simulation.cluster import SLOTS, Machine, SimulatedCluster
from simulation.steps import answer_of, call, held, place_of, problem_of, read, write
from spine_core.errors import ProblemError
from spine_core.records.consistency import Model
from spine_core.records.encoding import Record, encode
from spine_core.records.versions import make_version
from spine_core.replication.replica_status import ReplicaStatus
from spine_core.scalars import Origin, Slot, StoreNumber
from spine_core.topology.document import Document, Phase, StoreInfo
from spine_node.links.frames import unpack
from spine_node.links.mesh import CallError
from spine_node.search.messages import QueryCall, QueryPage, slots_to_bytes
from spine_node.store import checksum

NOBODY = "99999999-9999-4999-8999-999999999999"


def next_document(cluster: SimulatedCluster) -> Document:
    """Return a document of the next epoch: somebody joins who will never come."""
    assert cluster.document is not None
    nobody = StoreInfo(id=NOBODY, seat="z", zone="z", url="z:8788")
    return cluster.document.with_change("join", joining=(nobody,), now_ms=0)


def put_body(cluster: SimulatedCluster, key: str) -> list[object]:
    slot, place = place_of(key)
    version = make_version(cluster.machines["a"].node.hlc.now(), Origin(9))
    raw = encode(Record(version=version, op=1, body=b"\x00\x00{}"), checksum)
    return [place, slot, raw, False]


BODIES: dict[str, Callable[[SimulatedCluster], object]] = {
    "put": lambda cluster: put_body(cluster, "k"),
    "get": lambda _: [place_of("k")[0], [place_of("k")[1]]],
    "roots": lambda _: [place_of("k")[0]],
    "buckets": lambda _: [place_of("k")[0]],
    "keys": lambda _: [[[place_of("k")[0], [0]]], None],
    "fetch": lambda _: [place_of("k")[1]],
    "page": lambda _: [place_of("k")[0], None],
    "query": lambda _: listing(),
}


@pytest.mark.parametrize("method", BODIES)
async def test_a_request_of_an_older_epoch_is_answered_with_the_document(
    cluster: SimulatedCluster, method: str
) -> None:
    a = cluster.machines["a"]
    document = next_document(cluster)
    await a.up.ask(a.node.adopt(document.canonical()))
    answer, body = await answer_of(a, method, BODIES[method](cluster), epoch=1)
    assert (answer, unpack(body)) == ("stale-epoch", document.canonical())
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
    assert unpack(body) is None
    for act in (write(d, "k", "x"), read(d, "k", Model.EVENTUAL)):
        with pytest.raises(ProblemError) as refused:
            await act
        assert refused.value.code == "not-ready"
    assert d.node.ready() is not None


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
        await process.ask(process.node.adopt(cluster.published[-1].canonical()))
    await cluster.until(lambda: at_epoch(cluster, 7), "d has heard of it")
    answer, body = await answer_of(d, "get", BODIES["get"](cluster), epoch=7)
    assert (answer, unpack(body)) == ("misdirected", None)
    answer, _ = await answer_of(d, "put", put_body(cluster, "k"), epoch=7)
    assert answer == "misdirected"


def at_epoch(cluster: SimulatedCluster, epoch: int) -> bool:
    return all(node.membership.epoch == epoch for node in cluster.nodes)


async def test_our_own_copy_is_not_read_under_an_older_epoch(cluster: SimulatedCluster) -> None:
    cluster.paused = True
    a = cluster.machines["a"]
    view = a.node.membership.member_view()
    slot, place = place_of("k")
    assert await a.up.ask(a.node.replicas.get(view, StoreNumber(1), slot, place, 1.0)) == (None, 0)
    await a.up.ask(a.node.adopt(next_document(cluster).canonical()))
    with pytest.raises(CallError):
        await a.up.ask(a.node.replicas.get(view, StoreNumber(1), slot, place, 1.0))
    statuses: list[ReplicaStatus] = []
    a.node.replicas.copies(
        view,
        [StoreNumber(1)],
        Slot(slot),
        place,
        1.0,
        lambda _, status, *__: statuses.append(status),
    )
    assert statuses == [ReplicaStatus.STALE_EPOCH]


def listing() -> QueryCall:
    """Return the call for everything."""
    return QueryCall(
        namespace=NAMESPACE, subtree=False, filter=b"{}", order="id", after=None, limit=10,
        slots=slots_to_bytes((1 << SLOTS) - 1), fresh=True, now_ms=0,
    )  # fmt: skip


def adopt_meanwhile(cluster: SimulatedCluster, machine: Machine) -> None:
    """Let a document come into force while the machine's index gathers a page."""
    index, answer = machine.node.index, machine.node.index.answer

    async def overtaken(call: QueryCall, deadline: float) -> QueryPage:
        page = await answer(call, deadline)
        await machine.node.adopt(next_document(cluster).canonical())
        return page

    index.answer = overtaken  # type: ignore[method-assign]


async def test_a_page_that_an_adoption_overtakes_is_no_answer(cluster: SimulatedCluster) -> None:
    cluster.paused = True
    a, b = cluster.machines["a"], cluster.machines["b"]
    for machine in (a, b):
        adopt_meanwhile(cluster, machine)
    asked = call(b, "query", listing(), epoch=1)
    peers = a.node.lists._replicas
    page = peers.query(peers.placement(), StoreNumber(1), listing(), cluster.now_s + TIMEOUT_S)
    assert await a.up.ask(page) is None
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
        await machine.up.ask(machine.node.adopt(document.canonical()))
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
    await a.up.ask(a.node.adopt(document.canonical()))
    await write(a, None, "x")
    epochs = [machine.node.membership.epoch for machine in (a, b, c)]
    assert epochs.count(2) >= 2


async def test_a_document_that_one_node_was_given_reaches_all_by_gossip(
    cluster: SimulatedCluster,
) -> None:
    cluster.paused = True
    a = cluster.machines["a"]
    await a.up.ask(a.node.adopt(next_document(cluster).canonical()))
    begun_s = cluster.now_s
    await cluster.until(
        lambda: [node.membership.epoch for node in cluster.nodes] == [2, 2, 2],
        "all are at epoch 2",
    )
    assert cluster.now_s - begun_s < 3.0


async def test_a_node_that_left_its_cluster_in_the_middle_of_a_write_says_what_it_knows(
    cluster: SimulatedCluster,
) -> None:
    a = cluster.machines["a"]
    for seat in "bc":
        await cluster.machines[seat].crash()
    await cluster.sleep(1.0)
    writing = a.up.create_task(problem_of(a, "k"))
    await cluster.sleep(0.5)
    view = a.node.membership.view
    assert view is not None
    object.__setattr__(view, "number", None)  # as when a document no longer names us
    problem = await writing
    assert problem is not None
    assert (problem.code, problem.outcome) == ("quorum-unavailable", "indeterminate")
    object.__setattr__(view, "number", 1)


async def test_a_write_that_was_acknowledged_while_this_node_left_is_answered_so(
    cluster: SimulatedCluster,
) -> None:
    a = cluster.machines["a"]
    await write(a, "k", "before")
    writing = asyncio.create_task(write(a, "k", "x"))
    put = a.node.replica.put_local

    def left(*args: Any, **names: Any) -> Any:
        view = a.node.membership.member_view()
        a.node.membership.view = replace(view, number=None)
        return put(*args, **names)

    a.node.replica.put_local = left  # type: ignore[method-assign]
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
