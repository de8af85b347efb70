"""Quorum reads: a majority is asked, and its newest copy is on a write quorum before it is shown.

Our own copy comes first. The others tell their version, and send a copy only where it is newer than
ours. As many are asked as a majority takes, the quickest first; the rest when one of them fails or
is late (protocol.md §6.3). When a read is answered, `read_tally.QuorumRead` decides.
"""

import asyncio
from collections.abc import Iterable
from functools import partial

from spine_core.errors import ProblemError
from spine_core.records.encoding import encode
from spine_core.records.versions import ABSENT, Version
from spine_core.replication.put_rules import PutKind
from spine_core.replication.read_tally import (
    Found,
    NeedsRound,
    OpenRegister,
    QuorumRead,
    Unanswered,
    WriteBack,
)
from spine_core.replication.replica_status import ReplicaStatus
from spine_core.replication.write_back_tally import WriteBackTally
from spine_core.replication.write_tally import WriteVerdict
from spine_core.scalars import StoreNumber
from spine_node.engine.cluster.context import Context
from spine_node.engine.cluster.replica import GetCall, PutCall
from spine_node.engine.cluster.replica_client import Copy, ReplicaClient
from spine_node.engine.cluster.topology_view import MemberView
from spine_node.engine.coordinator.attempts import AttemptFailedError, collect
from spine_node.engine.coordinator.rounds import IDENTITY, Rounds
from spine_node.engine.coordinator.target import Target
from spine_node.links.mesh import CallError
from spine_node.store import checksum
from spine_node.store.operations import PutRecord

Verdict = Found[Copy] | WriteBack[Copy] | NeedsRound | Unanswered


class QuorumReads:
    """The quorum reads of one node; each call of `read` is one attempt, under one epoch."""

    def __init__(self, context: Context, rounds: Rounds) -> None:
        self._rounds = rounds
        self._replicas, self._clock = context.replicas, context.clock
        self._membership = context.membership

    async def read(self, target: Target) -> Found[Copy]:
        """Return the newest copy of a majority, brought to a write quorum where that is needed.

        Raises:
            AttemptFailedError: too few replicas answered, or took the copy.
        """
        view = self._membership.member_view()
        attempt = _Attempt(self._replicas, view, target, target.deadline - self._clock.now())
        match verdict := await attempt.verdict():
            case Unanswered():
                raise failure_of(verdict)
            case WriteBack(newest, holders):
                if await self._write_back(target, view, newest.raw, holders):
                    return Found(newest)
                return await self._round(target)
            case NeedsRound():
                return await self._round(target)
            case Found():
                return verdict

    async def _write_back(
        self, target: Target, view: MemberView, raw: bytes, holders: frozenset[StoreNumber]
    ) -> bool:
        """Bring the newest copy to a write quorum before it is shown; not where it is a register."""
        left_s = target.deadline - self._clock.now()
        tally = WriteBackTally(view.placement, target.slot, holders)
        put = PutCall([PutRecord(target.key, target.slot, raw)], PutKind.WRITE_BACK)
        send = partial(self._replicas.put, view, tally.asked(), put, left_s)
        match await collect(tally, send, left_s):
            case WriteVerdict.ACKNOWLEDGED:
                return True
            case WriteVerdict.REROUTE:
                return False
            case _:
                raise AttemptFailedError(too_few())

    async def _round(self, target: Target) -> Found[Copy]:
        """Complete what somebody's round has left behind, and return its value."""
        decided = await self._rounds.run(target, IDENTITY)
        record = decided.changed.value.record
        return Found(Copy(encode(record, checksum), record), has_register=True)


class _Attempt:
    """One question to the read set, until its tally decides or the time is over."""

    __slots__ = ("_decided", "_left_s", "_replicas", "_tally", "_target", "_timer", "_view")

    def __init__(
        self, replicas: ReplicaClient, view: MemberView, target: Target, left_s: float
    ) -> None:
        self._replicas, self._view, self._target = replicas, view, target
        self._left_s = left_s
        order = replicas.order(view.placement.read_set(target.slot), view.number)
        self._tally = QuorumRead[Copy](view.placement, target.slot, order)
        self._decided: asyncio.Future[Verdict]
        self._timer: asyncio.TimerHandle

    async def verdict(self) -> Verdict:
        """Ask, and return what the answers amount to."""
        asked = self._tally.next()
        if asked[0] == self._view.number:
            self._look_here()
            asked = (*asked[1:], *self._tally.next())  # another one where ours is damaged
            if (verdict := self._tally.verdict()) is not None:
                return verdict
        loop = asyncio.get_running_loop()
        self._decided = loop.create_future()
        late_s = max(map(self._replicas.late_after_s, asked))
        if late_s < self._left_s:
            self._timer = loop.call_later(late_s, self._hurry, late_s)
        else:
            self._timer = loop.call_later(self._left_s, self._expire)
        try:
            self._ask(asked)
            return await self._decided
        finally:
            self._timer.cancel()

    def _look_here(self) -> None:
        store = self._view.number
        try:
            copy, register = self._replicas.own_with_register(self._view, self._target.key)
        except CallError as error:
            self._tally.answer(store, ReplicaStatus(error.status), ABSENT, None)
            return
        held = copy.version if copy else ABSENT
        self._tally.answer(store, ReplicaStatus.OK, held, copy, register)

    def _ask(self, stores: Iterable[StoreNumber]) -> None:
        call = GetCall(self._target.slot, self._target.key, self._tally.newest)
        self._replicas.copies(self._view, stores, call, self._left_s, self._answered)

    def _answered(
        self,
        store: StoreNumber,
        status: ReplicaStatus,
        held: Version,
        copy: Copy | None,
        register: OpenRegister[Copy] | None,
    ) -> None:
        if self._decided.done():
            return
        self._tally.answer(store, status, held, copy, register)
        if (verdict := self._tally.verdict()) is not None:
            self._decided.set_result(verdict)
        elif more := self._tally.next():  # one has failed
            self._ask(more)

    def _hurry(self, waited_s: float) -> None:
        """Ask all others, since those asked are late; the next read asks somebody else first."""
        for store in self._tally.silent():
            self._replicas.note(store, waited_s)
        left_s = self._left_s - waited_s
        self._timer = asyncio.get_running_loop().call_later(left_s, self._expire)
        if others := self._tally.rest():
            self._ask(others)

    def _expire(self) -> None:
        if not self._decided.done():
            self._decided.set_result(self._tally.expire())


def failure_of(unanswered: Unanswered) -> AttemptFailedError:
    """Say why an attempt has no answer; where damage leaves too few replicas, none will have one."""
    if not unanswered.damaged:
        return AttemptFailedError(too_few())
    where = ", ".join(map(str, sorted(unanswered.damaged)))
    others = "no others are enough" if unanswered.hopeless else "too few others answered in time"
    detail = (
        f"the copy of this record on store {where} is damaged, and {others}; "
        "writing or deleting the record mends it"
    )
    problem = ProblemError("quorum-unavailable", detail)
    return AttemptFailedError(problem, final=unanswered.hopeless)


def too_few() -> ProblemError:
    """Return the problem of a read or write-back that too few replicas answered."""
    return ProblemError("quorum-unavailable", "too few replicas answered in time")
