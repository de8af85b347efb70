"""What one turn of the loop writes to a store travels as one call; each put ends by itself."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from uuid import UUID

import pytest

from models.clusters import SLOTS
from spine_core.replication.put_rules import PutKind, RefusedPut
from spine_core.replication.replica_status import ReplicaStatus
from spine_core.replication.write_tally import WriteTally, WriteVerdict
from spine_core.scalars import Slot, StoreNumber
from spine_core.topology.document import StoreInfo
from spine_node.engine.cluster.replica import PutCall
from spine_node.engine.cluster.replica_client import OnPut, ReplicaClient
from spine_node.engine.cluster.topology_view import Membership, MemberView
from spine_node.engine.coordinator.put_groups import BYTES_MAX, PUTS_MAX, PutGroups
from spine_node.store import Store
from spine_node.store.operations import PutRecord
from unit.engine.coordinator.scripted_replicas import ScriptedReplicas, context_of
from unit.engine.harness import ManualClock, document_for
from unit.store.harness import StoreHarness, key

OK = ReplicaStatus.OK


@dataclass
class Sent:
    """One call on its way to some stores; a test answers it."""

    stores: tuple[StoreNumber, ...]
    call: PutCall
    left_s: float
    on_put: OnPut

    @property
    def names(self) -> list[bytes]:
        return [record.raw for record in self.call.records]

    def answer(self, status: ReplicaStatus, *refused: RefusedPut, by: int = 3) -> None:
        """Let so many of the stores answer."""
        for store in self.stores[:by]:
            self.on_put(store, status, refused)


class HeldReplicas(ReplicaClient):
    """Replicas that answer when the test says so."""

    def __init__(self) -> None:
        self.sent: list[Sent] = []
        self.left = asyncio.Event()  # a call has

    def put(
        self, view: MemberView, stores: Iterable[StoreNumber], put: PutCall, left_s: float,
        on_put: OnPut,
    ) -> None:  # fmt: skip
        assert put.kind is PutKind.WRITE
        assert view.number is not None
        self.left.set()
        self.sent.append(Sent((*stores,), put, left_s, on_put))


@dataclass
class Groups:
    view: MemberView
    replicas: HeldReplicas = field(default_factory=HeldReplicas)

    def __post_init__(self) -> None:
        self.groups = PutGroups(self.replicas)

    def start(self, raw: bytes, left_s: float = 20.0, slot: int = 0) -> "asyncio.Task[WriteTally]":
        record = PutRecord(key(slot, raw[:9].decode()), Slot(slot), raw)
        return asyncio.create_task(self.groups.put(self.view, record, left_s))

    async def turn(self) -> None:
        """Let the turn that has begun end, and its puts leave."""
        self.replicas.left.clear()
        await self.replicas.left.wait()


@pytest.fixture
async def groups(harness: StoreHarness, store: Store, clock: ManualClock) -> Groups:
    context = await context_of(store, harness.clock, clock, ScriptedReplicas())
    return Groups(context.membership.member_view())


@pytest.fixture
async def four(store: Store) -> Groups:
    """Four stores, so that the puts of a turn have different replicas."""
    three = document_for(store)
    fourth = StoreInfo(id=str(UUID(int=4)), seat="d0", zone="d", url="d0:1")
    membership = Membership(store)
    document = document_for(
        store,
        stores={**three.stores, StoreNumber(4): fourth},
        current={**three.current, "d0": StoreNumber(4)},
        next_number=5,
    )
    await membership.adopt(document.canonical())
    return Groups(membership.member_view())


async def test_a_store_gets_one_call_of_a_turn_whatever_other_replicas_its_puts_have(
    four: Groups,
) -> None:
    puts = [four.start(b"%02d" % slot, slot=slot) for slot in range(SLOTS)]
    await four.turn()
    placement = four.view.placement
    calls = {store: sent.names for sent in four.replicas.sent for store in sent.stores}
    assert sum(len(sent.stores) for sent in four.replicas.sent) == len(calls) == 4
    for store, names in calls.items():
        held = placement.slots_of(store)
        assert sorted(names) == [b"%02d" % slot for slot in range(SLOTS) if slot in held]
    for sent in four.replicas.sent:
        sent.answer(OK)
    for put in puts:
        assert ((await put).verdict(), len((await put).asked())) == (WriteVerdict.ACKNOWLEDGED, 3)


@pytest.mark.parametrize("refused", range(0, SLOTS, 7))
async def test_a_refusal_meets_the_put_that_it_names_in_a_call_of_several_groups(
    four: Groups, refused: int
) -> None:
    puts = [four.start(b"%02d" % slot, slot=slot) for slot in range(SLOTS)]
    await four.turn()
    for sent in four.replicas.sent:
        late = [
            RefusedPut(position, ReplicaStatus.LATE)
            for position, name in enumerate(sent.names)
            if int(name) == refused
        ]
        sent.answer(OK, *late)
    verdicts = [(await put).verdict() for put in puts]
    assert verdicts.pop(refused) is WriteVerdict.RESTAMP
    assert set(verdicts) == {WriteVerdict.ACKNOWLEDGED}


async def test_the_puts_of_one_turn_are_one_call_and_the_next_turn_makes_another(
    groups: Groups,
) -> None:
    first, second = groups.start(b"a", left_s=5.0), groups.start(b"b", left_s=9.0)
    await groups.turn()
    third = groups.start(b"c")
    await groups.turn()
    assert [sent.names for sent in groups.replicas.sent] == [[b"a", b"b"], [b"c"]]
    assert groups.replicas.sent[0].left_s == 9.0
    for sent in groups.replicas.sent:
        sent.answer(OK, by=2)
    verdicts = [(await put).verdict() for put in (first, second, third)]
    assert verdicts == [WriteVerdict.ACKNOWLEDGED] * 3


async def test_a_put_that_is_refused_does_not_hold_up_its_neighbours(groups: Groups) -> None:
    good, bad = groups.start(b"good"), groups.start(b"bad")
    await groups.turn()
    sent = groups.replicas.sent[0]
    sent.answer(OK, RefusedPut(1, ReplicaStatus.LATE), by=2)
    assert (await good).verdict() is WriteVerdict.ACKNOWLEDGED
    assert (await bad).verdict() is WriteVerdict.RESTAMP
    assert not (await bad).acks


async def test_each_put_ends_at_its_own_deadline(groups: Groups) -> None:
    hasty, patient = groups.start(b"hasty", left_s=0.01), groups.start(b"patient")
    done, _ = await asyncio.wait([hasty], timeout=5.0)
    assert done
    ended = await hasty
    assert (ended.verdict(), ended.may_have_applied) == (WriteVerdict.UNAVAILABLE, True)
    assert not patient.done()
    groups.replicas.sent[0].answer(OK)
    assert (await patient).verdict() is WriteVerdict.ACKNOWLEDGED


async def test_a_caller_that_gave_up_disturbs_no_neighbour(groups: Groups) -> None:
    gone, here = groups.start(b"gone"), groups.start(b"here")
    await groups.turn()
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    groups.replicas.sent[0].answer(OK)
    assert (await here).verdict() is WriteVerdict.ACKNOWLEDGED


async def test_a_large_group_leaves_before_its_turn_ends(groups: Groups) -> None:
    puts = [groups.start(b"%05d" % n) for n in range(PUTS_MAX + 1)]
    heavy = [groups.start(bytes(BYTES_MAX // 2)) for _ in range(3)]
    await groups.turn()
    await groups.turn()
    assert [len(sent.names) for sent in groups.replicas.sent] == [PUTS_MAX, 3, 1]
    for sent in groups.replicas.sent:
        sent.answer(OK)
    for put in (*puts, *heavy):
        assert (await put).verdict() is WriteVerdict.ACKNOWLEDGED
