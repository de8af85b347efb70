"""Coordinator of registers: one node proposes for a record, the others send their changes there.

The proposer is the first live replica of the slot in the order of placement, and runs the changes of a
record one after the other, so that they do not duel. Safety depends on neither: any node may propose,
and does when the proposer does not answer.
"""

from typing import NamedTuple

import msgspec

from spine_core.errors import ProblemError
from spine_core.problems import Outcome
from spine_core.records.encoding import Record, is_absent
from spine_core.records.versions import ms_of
from spine_core.replication.registers.changes import (
    Changed,
    ChangeVerdict,
    RegisterChange,
    apply_change,
)
from spine_core.replication.registers.state import Ballot, grown_from, make_ballot
from spine_core.replication.replica_status import MAY_HAVE_APPLIED, ReplicaStatus
from spine_core.scalars import Origin, StoreNumber
from spine_node.engine.cluster.context import Context
from spine_node.engine.coordinator.attempts import AttemptFailedError
from spine_node.engine.coordinator.quorum_read import QuorumReads
from spine_node.engine.coordinator.register_changes import ChangeCall, change_of
from spine_node.engine.coordinator.rounds import Decided, Rounds
from spine_node.engine.coordinator.target import Target
from spine_node.engine.coordinator.turns import Turns
from spine_node.links.frames import CallHeader
from spine_node.links.mesh import CallError
from spine_node.links.methods import Method
from spine_node.ports import MergePatch

FORWARD_SHARE = 0.5  # of the time left: then this node proposes itself
_REFUSED_BY_VALUE = frozenset({ChangeVerdict.PRECONDITION_FAILED, ChangeVerdict.NOT_FOUND})


class ForwardCall(msgspec.Struct, array_like=True, frozen=True):
    """A change for the proposer, and how long its coordinator waits."""

    change: ChangeCall
    left_ms: int
    began: bytes  # a ballot from before it was sent


class RegisterOutcome(NamedTuple):
    """A change that was decided."""

    verdict: ChangeVerdict
    version: bytes  # that the operation has made, now or earlier
    record: Record  # the value of the register now
    created: bool  # nothing live stood there before
    may_have_applied: bool  # earlier or still, where it is refused now
    reason: str
    acks: int
    replicas: int
    first_round: bool  # of this request: what may have been applied was an earlier request's


class ForwardReply(msgspec.Struct, array_like=True, frozen=True):
    """What became of it: `problem` is (code, detail, outcome) of one that was not decided."""

    outcome: RegisterOutcome | None = None
    problem: tuple[str, str, Outcome | None] | None = None


CHANGE = Method("change", request=ForwardCall, reply=ForwardReply)


class RegisterCoordinator:
    """Brings changes to the proposers of their records, and is the proposer of some."""

    def __init__(
        self, context: Context, rounds: Rounds, quorum: QuorumReads, merge: MergePatch
    ) -> None:
        self._context, self._rounds, self._quorum, self._merge = context, rounds, quorum, merge
        self._line: Turns[bytes] = Turns()  # of this node's clients: one change a record under way
        self._turns: Turns[bytes] = Turns()  # of the changes that this node proposes

    async def change(self, call: ChangeCall, deadline: float) -> RegisterOutcome:
        """Make a change.

        Raises:
            ProblemError: it was not decided; with `outcome`.
        """
        try:
            async with self._line.of(call.key, deadline - self._context.clock.now()):
                return await self._decided(call, deadline)
        except TimeoutError:
            raise _too_many_changes("not-applied") from None

    async def _decided(self, call: ChangeCall, deadline: float) -> RegisterOutcome:
        """Send a change to its proposer; make it here where that does not answer.

        What was sent may arrive after we have given it up and made the change ourselves. It says when
        it began, so that its proposer makes it only as long as the record remembers all changes since.
        """
        while (proposer := self._proposer(call)) is not None:
            began = self._now()
            try:
                outcome = await self._forwarded(proposer, call, began, deadline)
            except CallError as error:
                in_doubt = ReplicaStatus(error.status) in MAY_HAVE_APPLIED
            except ProblemError as error:
                if error.code != "quorum-unavailable":
                    raise  # else it may be cut off, and we are not
                in_doubt = error.outcome == "indeterminate"
            else:
                if outcome.verdict is ChangeVerdict.INDETERMINATE and outcome.first_round:
                    continue  # others were many and quicker: it was not made, and begins again
                return outcome
            if not in_doubt:
                break
            outcome = await self._propose(call, deadline, began, in_doubt=True)
            # what was sent may still arrive, and find a value that it fits
            return outcome._replace(may_have_applied=True)
        return await self._propose(call, deadline)

    def _proposer(self, call: ChangeCall) -> StoreNumber | None:
        """Return the store to send a change to; None: we propose."""
        view = self._context.membership.member_view()
        up = self._context.replicas.up()
        for store in view.placement.read_set(call.slot):
            if store == view.number:
                return None
            if store in up:
                return store
        return None

    async def _forwarded(
        self, proposer: StoreNumber, call: ChangeCall, began: Ballot, deadline: float
    ) -> RegisterOutcome:
        view = self._context.membership.member_view()
        left_s = (deadline - self._context.clock.now()) * FORWARD_SHARE
        request = ForwardCall(call, int(left_s * 1000), began)
        reply = await self._context.replicas.ask(view, proposer, CHANGE, request, left_s)
        if reply.problem is not None:
            code, detail, outcome = reply.problem
            raise ProblemError(code, detail, outcome=outcome)
        assert reply.outcome is not None, "decided"
        return reply.outcome

    async def serve(self, call: ForwardCall, _header: CallHeader) -> ForwardReply:
        """Serve `change`: propose for another node."""
        deadline = self._context.clock.now() + call.left_ms / 1000
        try:
            outcome = await self._propose(call.change, deadline, Ballot(call.began))
        except ProblemError as error:
            return ForwardReply(problem=(error.code, error.detail, error.outcome))
        return ForwardReply(outcome)

    async def _propose(
        self,
        call: ChangeCall,
        deadline: float,
        began: Ballot | None = None,
        *,
        in_doubt: bool = False,
    ) -> RegisterOutcome:
        change = change_of(call, self._merge)
        target = Target(call.slot, call.key, deadline)
        try:
            async with self._turns.of(call.key, deadline - self._context.clock.now()):
                decided = None
                if not in_doubt:
                    decided = await self._refused_at_once(target, change)
                if decided is None:
                    decided = await self._rounds.run(target, change, began, in_doubt=in_doubt)
        except TimeoutError:
            raise _too_many_changes("indeterminate" if in_doubt else "not-applied") from None
        changed = decided.changed
        now_ms = ms_of(self._context.hlc.now())
        return RegisterOutcome(
            changed.verdict,
            changed.version,
            changed.value.record,
            is_absent(decided.before, now_ms),
            changed.may_have_applied,
            changed.reason,
            decided.acks,
            decided.replicas,
            decided.first_round,
        )

    async def _refused_at_once(self, target: Target, change: RegisterChange) -> Decided | None:
        """Refuse a condition that a weak record contradicts, without making it a register.

        A quorum decides, and only where none of it has acceptor state: an earlier attempt of the
        operation that may still be chosen has left some on every quorum.
        """
        view = self._context.membership.member_view()
        if view.number not in view.placement.read_set(target.slot):
            return None
        if self._context.store.register(target.key) is not None:
            return None
        try:
            own = self._context.replicas.own(view, target.key)
        except CallError:
            return None
        if self._judged(change, own and own.record).verdict not in _REFUSED_BY_VALUE:
            return None
        try:
            found = await self._quorum.read(target)
        except AttemptFailedError:
            return None
        record = found.copy and found.copy.record
        changed = self._judged(change, record)
        if found.has_register or changed.verdict not in _REFUSED_BY_VALUE:
            return None
        before = grown_from(record).record
        return Decided(changed, before, True, 0, len(view.placement.write_set(target.slot)))

    def _judged(self, change: RegisterChange, record: Record | None) -> Changed:
        return apply_change(change, grown_from(record), self._now(), first=None)

    def _now(self) -> Ballot:
        """Return a ballot below that of every round that begins now."""
        return make_ballot(self._context.hlc.now(), Origin(0))


def _too_many_changes(outcome: Outcome) -> ProblemError:
    detail = "other changes of this record took all the time"
    return ProblemError("quorum-unavailable", detail, outcome=outcome)
