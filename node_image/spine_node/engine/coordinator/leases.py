"""Coordinator of leases: grants, renewals, releases, and who waits for them (api.md §2.5).

A lease alone is advice; what protects is its fence, in the records that it guards. `guards` of a grant
are stamped with the new fence before the grant is answered, so that no write of an earlier holder
reaches them any more.
"""

import asyncio
from contextlib import suppress
from hashlib import sha256

import msgspec

from spine_core.errors import ProblemError
from spine_core.leases import NOBODY, admits, is_free
from spine_core.records.ids import key_hash, slot_of
from spine_core.records.sessions import Session
from spine_core.records.versions import Version, ms_of
from spine_core.replication.registers.changes import ChangeKind, ChangeVerdict
from spine_node.engine.cluster.context import Context
from spine_node.engine.coordinator.lease_changes import (
    LeaseAsk,
    LeaseRefusal,
    encode_state,
    lease_of,
    state_of,
)
from spine_node.engine.coordinator.pending_write import operation_of
from spine_node.engine.coordinator.read import ReadCoordinator
from spine_node.engine.coordinator.register_changes import Action, ChangeCall
from spine_node.engine.coordinator.register_write import problem_of
from spine_node.engine.coordinator.registers import RegisterCoordinator, RegisterOutcome
from spine_node.engine.coordinator.turns import Turns
from spine_node.ports import Fence, LeaseOutcome, LeaseRequest, LeaseState, leases_of
from spine_node.store import key_of

LOOK_S = 0.25  # how often the first in line looks whether the lease is free
ANSWER_S = 0.1  # kept of the time of a request, to answer that the lease is held

_refusal = msgspec.json.Decoder(LeaseRefusal)


class LeaseCoordinator:
    """Leases on any node."""

    def __init__(
        self, context: Context, reads: ReadCoordinator, registers: RegisterCoordinator
    ) -> None:
        self._context, self._reads, self._registers = context, reads, registers
        self._line: Turns[tuple[str, str]] = Turns()

    async def acquire(self, request: LeaseRequest) -> LeaseOutcome:
        """Take a lease, waiting for it as long as the request says; then stamp its guards.

        Raises:
            ProblemError: `lease-held`, `guard-conflict`, `quorum-unavailable`.
        """
        op = self._operation(request)
        outcome = await self._granted(request, op)
        if request.guards:
            await self._stamp(request, op, outcome.state.fence)
        return outcome

    async def renew(self, request: LeaseRequest) -> LeaseOutcome:
        """Let a lease run from now on.

        Raises:
            ProblemError: `lease-lost`, `quorum-unavailable`.
        """
        return await self._change(request, Action.RENEW, self._operation(request))

    async def release(self, request: LeaseRequest) -> LeaseOutcome:
        """Give a lease back; its fence stays.

        Raises:
            ProblemError: `lease-lost`, `quorum-unavailable`.
        """
        return await self._change(request, Action.RELEASE, self._operation(request))

    async def get(self, namespace: str, key: str, deadline: float) -> LeaseState | None:
        """Read a lease, strongly; None where nobody ever took it.

        Raises:
            ProblemError: `quorum-unavailable`.
        """
        return state_of(await self._reads.quorum(leases_of(namespace), key, deadline))

    def is_held(self, state: LeaseState) -> bool:
        """Whether somebody has the lease now; its holder may have lost it a little earlier."""
        return not is_free(lease_of(state), self._now_ms())

    async def check(self, namespace: str, fence: Fence, deadline: float) -> None:
        """Refuse a write whose fence is not the newest of its lease, or whose lease has run out.

        Early, and no protection: the guard of the record decides (protocol.md §7.7).

        Raises:
            ProblemError: `fence-stale`, `quorum-unavailable`.
        """
        try:
            state = await self.get(namespace, fence.lease, deadline)
        except ProblemError as error:
            raise ProblemError(error.code, error.detail, outcome="not-applied") from error
        if not admits(lease_of(state), fence.fence, self._now_ms()):
            detail = "the lease has another holder now, has run out, or was given back"
            raise ProblemError("fence-stale", detail)

    def _now_ms(self) -> int:
        return ms_of(self._context.hlc.now())

    def _operation(self, request: LeaseRequest) -> int:
        return operation_of(self._context.clock, request.subject, request.idempotency_key)

    async def _granted(self, request: LeaseRequest, op: int) -> LeaseOutcome:
        """Try at once; then wait in this node's line for the lease, of which the first one looks."""
        clock = self._context.clock
        give_up = min(clock.now() + request.wait_ms / 1000, request.deadline - ANSWER_S)
        try:
            return await self._change(request, Action.ACQUIRE, op)
        except ProblemError as error:
            if error.code != "lease-held" or give_up <= clock.now():
                raise
            held = error
        try:
            async with self._line.of((request.namespace, request.key), give_up - clock.now()):
                while True:
                    pause_s = min(LOOK_S, (held.retry_after_ms or 0) / 1000)
                    if clock.now() + pause_s > give_up:
                        raise held
                    await clock.sleep(clock.jittered(pause_s))
                    try:
                        return await self._change(request, Action.ACQUIRE, op)
                    except ProblemError as error:
                        if error.code != "lease-held":
                            raise
                        held = error
        except TimeoutError:
            raise held from None

    async def _change(self, request: LeaseRequest, action: Action, op: int) -> LeaseOutcome:
        ask = LeaseAsk(
            key=request.key,
            holder=request.holder,
            fence=request.fence,
            ttl_ms=request.ttl_ms,
            guards=request.guards,
        )
        call = self._call(request, leases_of(request.namespace), request.key, op)
        call = msgspec.structs.replace(call, action=action, memory=encode_state(ask))
        outcome = await self._registers.change(call, request.deadline)
        state = state_of(outcome.record)
        if outcome.verdict is ChangeVerdict.REFUSED:
            raise self._refused(outcome)
        if outcome.verdict is ChangeVerdict.ALREADY and not _is_of(state, request, action):
            # an earlier attempt has taken effect, and somebody else has followed since
            lost = LeaseRefusal(lost=True, holder=NOBODY if state is None else state.holder)
            raise _lost(lost)
        if outcome.verdict not in (ChangeVerdict.APPLIED, ChangeVerdict.ALREADY):
            raise problem_of(outcome, self._context.clock.physical_ms())
        assert state is not None, "a lease that was changed has a record"
        session = (request.session or Session()).wrote(
            key_hash(leases_of(request.namespace), request.key), Version(outcome.version)
        )
        return LeaseOutcome(state=state, session=session)

    def _call(self, request: LeaseRequest, namespace: str, memory_id: str, op: int) -> ChangeCall:
        slots = self._context.membership.member_view().document.slots
        slot = slot_of(namespace, memory_id, slots)
        return ChangeCall(
            slot=slot,
            key=key_of(slot, namespace, memory_id),
            op=op,
            action=Action.STAMP,
            kind=ChangeKind.WRITE,
            writer=request.subject,
        )

    def _refused(self, outcome: RegisterOutcome) -> ProblemError:
        why = _refusal.decode(outcome.reason)
        if why.lost:
            return _lost(why, in_doubt=outcome.may_have_applied)
        return ProblemError(
            "lease-held",
            f"{why.holder} has the lease for another {why.left_ms} ms at most",
            outcome="indeterminate" if outcome.may_have_applied else "not-applied",
            retry_after_ms=max(1, why.left_ms),
            extra={"holder": why.holder},
        )

    async def _stamp(self, request: LeaseRequest, op: int, fence: int) -> None:
        """Raise the guard of each record; where one fails the lease is given back."""
        results = await asyncio.gather(
            *(self._stamp_one(request, op, fence, memory_id) for memory_id in request.guards),
            return_exceptions=True,
        )
        failed = [result for result in results if isinstance(result, BaseException)]
        if not failed:
            return
        back = msgspec.structs.replace(request, fence=fence, idempotency_key=None)
        with suppress(ProblemError):  # it runs out by itself
            await self.release(back)
        raise failed[0]

    async def _stamp_one(self, request: LeaseRequest, op: int, fence: int, memory_id: str) -> None:
        own = int.from_bytes(sha256(b"%d\x00%b" % (op, memory_id.encode())).digest()[:8], "big")
        call = self._call(request, request.namespace, memory_id, own)
        call = msgspec.structs.replace(call, lease=request.key, fence=fence)
        outcome = await self._registers.change(call, request.deadline)
        if outcome.verdict not in (ChangeVerdict.APPLIED, ChangeVerdict.ALREADY):
            raise problem_of(outcome, self._context.clock.physical_ms())


def _is_of(state: LeaseState | None, request: LeaseRequest, action: Action) -> bool:
    """Whether a lease is as this request, repeated, has left it, or as its holder has since."""
    if action is Action.RELEASE:
        return True
    if state is None or state.holder != request.holder:
        return False
    return action is Action.ACQUIRE or state.fence == request.fence


def _lost(why: LeaseRefusal, *, in_doubt: bool = False) -> ProblemError:
    who = "nobody has it" if why.holder == NOBODY else f"{why.holder} has it"
    return ProblemError(
        "lease-lost",
        f"the lease is not held under this fence: {who}",
        outcome="indeterminate" if in_doubt else "not-applied",
        extra={"holder": why.holder or None},
    )
