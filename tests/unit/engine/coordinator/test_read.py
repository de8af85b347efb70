"""What the coordinator of reads does with the verdicts of its tallies."""

from dataclasses import dataclass, field

import pytest

from spine_core.errors import ProblemError
from spine_core.records.consistency import Consistency, Model, Override
from spine_core.records.ids import key_hash
from spine_core.records.sessions import Session
from spine_core.records.versions import hlc_from_ms, hlc_of, make_version
from spine_core.replication.replica_status import ReplicaStatus
from spine_core.scalars import Hlc, Origin
from spine_node.engine.cluster.configuration import Configuration
from spine_node.engine.cluster.stable_time import StableTimes
from spine_node.engine.coordinator.quorum_read import QuorumReads
from spine_node.engine.coordinator.read import ReadCoordinator
from spine_node.engine.coordinator.rounds import Rounds
from spine_node.ports import ReadOutcome, ReadRequest
from spine_node.store import Store
from unit.engine.coordinator.scripted_replicas import (
    NUMBERS,
    ScriptedReplicas,
    context_of,
    copy_of,
)
from unit.engine.harness import NOW_MS, ManualClock
from unit.store.harness import StoreHarness

BASE = hlc_from_ms(NOW_MS)
OLD, NEW = (make_version(Hlc(BASE + count), Origin(1)) for count in (1, 2))
LOST = ReplicaStatus.LOST


@dataclass
class Reads:
    """One coordinator with its replicas; tests state what these hold."""

    replicas: ScriptedReplicas
    clock: ManualClock
    coordinator: ReadCoordinator = field(init=False)
    configuration: Configuration = field(default_factory=Configuration)

    async def read(self, model: Model, *, session: Session | None = None) -> ReadOutcome:
        request = ReadRequest(
            namespace="team",
            memory_id="k",
            session=session,
            deadline=self.clock.now() + 1.0,
            model=model,
        )
        return await self.coordinator.read(request)


@pytest.fixture
async def reads(harness: StoreHarness, store: Store, clock: ManualClock) -> Reads:
    made = Reads(ScriptedReplicas(), clock)
    context = await context_of(store, harness.clock, clock, made.replicas)
    made.coordinator = ReadCoordinator(
        context,
        StableTimes(),
        QuorumReads(context, Rounds(context)),
        lambda: made.configuration,
    )
    return made


async def test_what_less_than_a_write_quorum_holds_is_written_back_before_it_is_shown(
    reads: Reads,
) -> None:
    reads.replicas.hold(copy_of(OLD), copy_of(NEW), LOST)
    outcome = await reads.read(Model.CAUSAL)
    assert outcome.record is not None
    assert outcome.record.version == NEW
    assert sorted(reads.replicas.written_back) == [NUMBERS[0], NUMBERS[2]]


async def test_what_a_write_quorum_holds_is_shown_as_it_is(reads: Reads) -> None:
    reads.replicas.hold(copy_of(NEW), copy_of(NEW), LOST)
    assert (await reads.read(Model.CAUSAL)).record == copy_of(NEW).record
    assert reads.replicas.written_back == []


async def test_what_cannot_be_written_back_is_not_shown(reads: Reads) -> None:
    reads.replicas.hold(LOST, copy_of(NEW), None)
    reads.replicas.put_status = ReplicaStatus.BUSY
    with pytest.raises(ProblemError) as refused:
        await reads.read(Model.CAUSAL)
    assert refused.value.code == "quorum-unavailable"
    assert sum(reads.clock.slept) < 1.0  # within the deadline


async def test_an_own_write_sends_a_read_on_to_who_has_it(reads: Reads) -> None:
    reads.replicas.hold(copy_of(OLD), copy_of(NEW), copy_of(NEW))
    session = Session(writes=((key_hash("team", "k"), NEW),))
    outcome = await reads.read(Model.READ_YOUR_WRITES, session=session)
    assert outcome.record == copy_of(NEW).record
    assert reads.replicas.asked == list(NUMBERS[:2])


async def test_an_own_write_that_no_replica_shows_is_asked_of_a_quorum(reads: Reads) -> None:
    reads.replicas.hold(copy_of(OLD), copy_of(OLD), copy_of(OLD))
    session = Session(writes=((key_hash("team", "k"), NEW),))
    outcome = await reads.read(Model.READ_YOUR_WRITES, session=session)
    assert outcome.record == copy_of(OLD).record
    assert reads.replicas.asked == [*NUMBERS, NUMBERS[1]]  # the quorum: our own copy and one more


async def test_what_the_token_may_have_forgotten_is_read_from_a_quorum(reads: Reads) -> None:
    reads.replicas.hold(copy_of(OLD), copy_of(NEW), copy_of(NEW))
    forgotten = Session(t=BASE, o=BASE)
    outcome = await reads.read(Model.READ_YOUR_WRITES, session=forgotten)
    assert outcome.record == copy_of(NEW).record


async def test_an_eventual_read_asks_as_many_replicas_as_the_cluster_says(reads: Reads) -> None:
    reads.replicas.hold(copy_of(OLD), copy_of(NEW), LOST)
    assert (await reads.read(Model.EVENTUAL)).record == copy_of(OLD).record
    reads.configuration = Configuration(read_quorum=2)
    assert (await reads.read(Model.EVENTUAL)).record == copy_of(NEW).record


@pytest.mark.parametrize("read_quorum", [1, 2])
async def test_a_read_that_our_own_copy_answers_suspends_nobody(
    reads: Reads, read_quorum: int
) -> None:
    reads.configuration = Configuration(read_quorum=read_quorum)
    reads.replicas.hold(copy_of(NEW), LOST, LOST)
    session = Session(writes=((key_hash("team", "k"), NEW),))
    for model in (Model.EVENTUAL, Model.READ_YOUR_WRITES):
        with pytest.raises(StopIteration) as ended:
            reads.read(model, session=session).send(None)
        assert ended.value.value.record == copy_of(NEW).record
    assert bool(reads.replicas.asked) is (read_quorum > 1)


async def test_a_miss_of_one_replica_that_answers_alone_is_degraded(reads: Reads) -> None:
    reads.replicas.hold(None, LOST, LOST)
    assert (await reads.read(Model.EVENTUAL)).degraded == "one-replica"
    reads.replicas.hold(None, None, LOST)
    assert (await reads.read(Model.EVENTUAL)).degraded is None


@pytest.mark.parametrize("model", [Model.EVENTUAL, Model.READ_YOUR_WRITES, Model.CAUSAL])
async def test_a_session_has_seen_what_it_was_shown(reads: Reads, model: Model) -> None:
    reads.replicas.hold(copy_of(NEW), copy_of(NEW), copy_of(NEW))
    assert (await reads.read(model)).session.t == hlc_of(NEW)


async def test_a_record_whose_tags_ask_for_more_is_read_at_that_model(reads: Reads) -> None:
    overrides = (Override(frozenset({"ledger"}), Model.CAUSAL),)
    reads.configuration = Configuration(consistency=Consistency(overrides=overrides))
    reads.replicas.hold(
        copy_of(OLD, tags=("ledger",)), copy_of(NEW, tags=("ledger",)), copy_of(NEW)
    )
    outcome = await reads.read(Model.EVENTUAL)
    assert (outcome.record and outcome.record.version, outcome.model) == (NEW, Model.CAUSAL)


async def test_damage_that_leaves_too_few_copies_is_said_at_once(reads: Reads) -> None:
    reads.replicas.hold(ReplicaStatus.DAMAGED, ReplicaStatus.DAMAGED, copy_of(NEW))
    with pytest.raises(ProblemError, match="on store 1, 2 is damaged, and no others are enough"):
        await reads.read(Model.CAUSAL)
    reads.replicas.hold(*[ReplicaStatus.DAMAGED] * 3)
    with pytest.raises(ProblemError, match="on store 1, 2, 3 is damaged"):
        await reads.read(Model.EVENTUAL)
    assert reads.clock.slept == []


async def test_beside_damage_a_replica_that_may_come_back_is_waited_for(reads: Reads) -> None:
    reads.replicas.hold(ReplicaStatus.DAMAGED, LOST, copy_of(NEW))
    reads.clock.while_asleep = lambda: reads.replicas.hold(
        ReplicaStatus.DAMAGED, copy_of(NEW), copy_of(NEW)
    )
    assert (await reads.read(Model.CAUSAL)).record == copy_of(NEW).record
    reads.replicas.hold(ReplicaStatus.DAMAGED, LOST, LOST)
    reads.clock.while_asleep = lambda: None
    with pytest.raises(ProblemError, match="is damaged, and too few others answered in time"):
        await reads.read(Model.CAUSAL)


async def test_a_read_that_nobody_answers_fails_in_time(reads: Reads) -> None:
    reads.replicas.hold(LOST, LOST, LOST)
    for model in (Model.EVENTUAL, Model.CAUSAL):
        with pytest.raises(ProblemError) as refused:
            await reads.read(model)
        assert refused.value.code == "quorum-unavailable"
