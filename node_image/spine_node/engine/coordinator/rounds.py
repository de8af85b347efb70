"""Rounds of a register, as their proposer runs them: prepare, decide, accept, learn (protocol.md §7.2).

Invariant: what is answered was chosen: a write quorum of one epoch has accepted it under one ballot.
Both halves of a round stay in the epoch in which it began (R3); replicas refuse any other.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Generic, NamedTuple

from spine_core.errors import ClockSkewError, CorruptRecordError, ProblemError
from spine_core.records.encoding import Record
from spine_core.replication.registers.acceptor import Promise
from spine_core.replication.registers.changes import (
    Changed,
    ChangeKind,
    ChangeVerdict,
    RegisterChange,
    apply_change,
)
from spine_core.replication.registers.encoding import decode_value, encode_value
from spine_core.replication.registers.proposer import (
    Answer,
    Propose,
    RaiseBallot,
    RoundTally,
    RoundVerdict,
    current_value,
    next_step,
)
from spine_core.replication.registers.state import (
    NO_BALLOT,
    Ballot,
    RegisterValue,
    ballot_hlc,
    ballot_in,
)
from spine_core.replication.replica_status import MAY_HAVE_APPLIED, ReplicaStatus
from spine_core.scalars import Hlc, StoreNumber
from spine_node.engine.cluster.acceptor import (
    ACCEPT,
    LEARN,
    PREPARE,
    AcceptCall,
    LearnCall,
    PrepareCall,
    accept_of,
    learn_of,
    prepare_of,
)
from spine_node.engine.cluster.context import Context
from spine_node.engine.cluster.topology_view import MemberView
from spine_node.engine.coordinator.attempts import AttemptFailedError, Backoff, attempts, collect
from spine_node.engine.coordinator.target import Target
from spine_node.links.methods import Method, ReplyT, RequestT
from spine_node.store import StorageError, checksum
from spine_node.store.operations import AcceptReply, Asked, PrepareReply

BACKOFF = Backoff(first_s=0.002, max_s=0.05, jitter=True)  # duels of proposers end by it
LEARN_TIMEOUT_S = 1.0  # nobody waits for it; the reaper does what it did not

IDENTITY = RegisterChange(kind=ChangeKind.IDENTITY)


class Decided(NamedTuple):
    """What a chosen value says about a change."""

    changed: Changed
    before: Record  # the value that the change was made from
    first_round: bool  # no earlier round of this operation has had its change accepted anywhere
    acks: int  # stores that are known to have accepted it
    replicas: int  # of the write set


class Rounds:
    """The rounds that this node proposes."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def run(
        self,
        target: Target,
        change: RegisterChange,
        began: Ballot | None = None,
        *,
        in_doubt: bool = False,
    ) -> Decided:
        """Make a change, in as many rounds as it takes until the deadline.

        Args:
            target: the record.
            change: what becomes of it.
            began: a ballot from before anybody can have made the operation for this request; None: it
                begins here and now.
            in_doubt: somebody else may have made it on our behalf.

        Raises:
            ProblemError: with `outcome`.
        """
        operation = _Operation(self._context, target, change, began, in_doubt=in_doubt)
        try:
            return await attempts(operation.once, self._context.clock, target.deadline, BACKOFF)
        except AttemptFailedError as failed:
            kind = "read" if change.kind is ChangeKind.IDENTITY else "write"
            self._context.metrics.quorum_failures.labels(kind, "strong", "no-quorum").inc()
            raise failed.problem from None


class _Question(NamedTuple, Generic[RequestT, ReplyT]):
    """A call for peers, and the operation with which our own writer answers the same."""

    method: Method[RequestT, ReplyT]
    call: RequestT
    here: Asked[ReplyT]


class _Operation:
    """One change, and what its rounds so far have left behind."""

    def __init__(
        self,
        context: Context,
        target: Target,
        change: RegisterChange,
        began: Ballot | None,
        *,
        in_doubt: bool,
    ) -> None:
        self._context, self._target, self._change = context, target, change
        self._first = began
        self._may_have_applied = in_doubt

    async def once(self) -> Decided:
        """Run one round.

        Raises:
            AttemptFailedError: another may succeed.
            ProblemError: none will.
        """
        view = self._context.membership.member
        if view is None:
            raise self._problem("quorum-unavailable", "this node has left the cluster")
        ballot = await self._ballot(view)
        promises = await self._prepare(view, ballot)
        current = current_value(promises)
        step = next_step(current, ballot, partial(self._apply, ballot=ballot, first=self._first))
        match step:
            case RaiseBallot(above):
                self._observe(above)
                raise self._failed("the clock of this node is behind", RoundVerdict.HIGHER_BALLOT)
            case Answer(changed):
                learned = {store for store, promise in promises.items() if promise.learned}
                if len(learned) < len(promises):  # no accept follows that would have it learned
                    value = encode_value(current.value, checksum)
                    self._learn(view, current.accepted, value, frozenset(learned))
                return self._decided(view, changed, current.value.record, len(promises))
            case Propose(changed):
                acks = await self._accept(view, ballot, changed)
                return self._decided(view, changed, current.value.record, acks)

    def _apply(self, value: RegisterValue, *, ballot: Ballot, first: Ballot | None) -> Changed:
        return apply_change(self._change, value, ballot, first=first)

    def _decided(self, view: MemberView, changed: Changed, before: Record, acks: int) -> Decided:
        self._context.metrics.rounds.labels(changed.verdict.value).inc()
        replicas = len(view.placement.write_set(self._target.slot))
        return Decided(changed, before, not self._may_have_applied, acks, replicas)

    async def _ballot(self, view: MemberView) -> Ballot:
        try:
            version = await self._context.hlc.version(view.number, self._left_s())
        except (StorageError, TimeoutError) as error:
            detail = f"this node's disk takes no writes: {str(error) or 'it hangs'}"
            raise self._problem("quorum-unavailable", detail) from error
        return ballot_in(version)

    async def _prepare(self, view: MemberView, ballot: Ballot) -> dict[StoreNumber, Promise]:
        tally = RoundTally(view.placement, self._target.slot)
        promises: dict[StoreNumber, Promise] = {}
        call = PrepareCall(self._target.slot, self._target.key, ballot)

        def send(answered: Callable[[StoreNumber, ReplicaStatus, Ballot], None]) -> None:
            def on_reply(
                store: StoreNumber, status: ReplicaStatus, reply: PrepareReply | None
            ) -> None:
                if reply is not None:
                    status = reply.status
                    if status is ReplicaStatus.OK:
                        try:
                            promises[store] = _promise_in(reply)
                        except CorruptRecordError:
                            status = ReplicaStatus.DAMAGED
                promised = NO_BALLOT if reply is None else Ballot(reply.promised)
                answered(store, status, promised)

            question = _Question(PREPARE, call, prepare_of(call, view.epoch))
            self._ask(view, tally.asked(), question, self._left_s(), on_reply)

        verdict = await collect(tally, send, self._left_s())
        if verdict is not RoundVerdict.DONE:
            self._observe(ballot_hlc(tally.refused_by))
            raise self._failed(f"{len(tally.agreed)} replicas promised in time", verdict)
        return {store: promises[store] for store in tally.agreed}

    async def _accept(self, view: MemberView, ballot: Ballot, changed: Changed) -> int:
        tally = RoundTally(view.placement, self._target.slot)
        value = encode_value(changed.value, checksum)
        call = AcceptCall(self._target.slot, self._target.key, ballot, value)
        answers: dict[StoreNumber, ReplicaStatus] = {}

        def send(answered: Callable[[StoreNumber, ReplicaStatus, Ballot], None]) -> None:
            def on_reply(
                store: StoreNumber, status: ReplicaStatus, reply: AcceptReply | None
            ) -> None:
                if reply is not None:
                    status = reply.status
                answers[store] = status
                promised = NO_BALLOT if reply is None else Ballot(reply.promised)
                answered(store, status, promised)

            question = _Question(ACCEPT, call, accept_of(call, view.epoch))
            self._ask(view, tally.asked(), question, self._left_s(), on_reply)

        verdict = await collect(tally, send, self._left_s())
        if verdict is not RoundVerdict.DONE:
            if changed.verdict is ChangeVerdict.APPLIED:
                lost = ReplicaStatus.LOST
                if any(answers.get(store, lost) in MAY_HAVE_APPLIED for store in tally.asked()):
                    self._may_have_applied = True
                    self._first = self._first or ballot
            self._observe(ballot_hlc(tally.refused_by))
            raise self._failed(f"{len(tally.agreed)} replicas accepted in time", verdict)
        self._learn(view, ballot, value, frozenset(tally.agreed))
        return len(tally.agreed)

    def _learn(
        self, view: MemberView, ballot: Ballot, value: bytes, accepted: frozenset[StoreNumber]
    ) -> None:
        """Tell all replicas what was chosen; those that have accepted it need no value again."""
        slot, key = self._target.slot, self._target.key
        short = LearnCall(slot, key, ballot)
        whole = LearnCall(slot, key, ballot, value)
        replicas = view.placement.write_set(slot)
        for call, stores in (
            (short, [store for store in replicas if store in accepted]),
            (whole, [store for store in replicas if store not in accepted]),
        ):
            question = _Question(LEARN, call, learn_of(call, view.epoch))
            self._ask(view, stores, question, LEARN_TIMEOUT_S, _nobody_waits)

    def _ask(
        self,
        view: MemberView,
        stores: Sequence[StoreNumber],
        question: _Question[RequestT, ReplyT],
        left_s: float,
        on_reply: Callable[[StoreNumber, ReplicaStatus, ReplyT | None], None],
    ) -> None:
        """Ask stores at once, ours among them."""
        if view.number in stores:
            self._ask_here(view.number, question.here, on_reply)
        peers = [store for store in stores if store != view.number]
        replicas = self._context.replicas
        replicas.ask_each(view, peers, question.method, question.call, left_s, on_reply)

    def _ask_here(
        self,
        store: StoreNumber,
        operation: Asked[ReplyT],
        on_reply: Callable[[StoreNumber, ReplicaStatus, ReplyT | None], None],
    ) -> None:
        try:
            future = self._context.store.submit(operation)
        except StorageError:  # too many wait, or the disk failed: nothing was queued
            on_reply(store, ReplicaStatus.BUSY, None)
            return

        def done(_: object) -> None:
            if future.cancelled() or future.exception():
                on_reply(store, ReplicaStatus.ERROR, None)
            else:
                on_reply(store, ReplicaStatus.OK, future.result())

        future.add_done_callback(done)

    def _observe(self, hlc: Hlc) -> None:
        """Move our clock above a round that is in the way; where it is too far ahead, time may help."""
        with suppress(ClockSkewError):
            self._context.hlc.observe(hlc)

    def _left_s(self) -> float:
        return max(0.0, self._target.deadline - self._context.clock.now())

    def _failed(self, detail: str, verdict: RoundVerdict) -> AttemptFailedError:
        code = "storage-full" if verdict is RoundVerdict.FULL else "quorum-unavailable"
        return AttemptFailedError(self._problem(code, detail), final=verdict is RoundVerdict.FULL)

    def _problem(self, code: str, detail: str) -> ProblemError:
        applied = self._may_have_applied
        return ProblemError(code, detail, outcome="indeterminate" if applied else "not-applied")


def _promise_in(reply: PrepareReply) -> Promise:
    value = decode_value(reply.value, checksum)
    return Promise(Ballot(reply.accepted), value, reply.learned, reply.floor)


def _nobody_waits(_store: StoreNumber, _status: ReplicaStatus, _reply: object) -> None:
    """Whether a replica has learned shows in its next answer."""
