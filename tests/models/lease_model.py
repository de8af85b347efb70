"""Explicit-state model of one lease and the record that it fences: two holders, and somebody without.

Lease and record are registers, each a sequence of chosen values (register_model.py), so a change of
either is one step here. The rules of both are the product's own. All else is the adversary's: what the
clock says at each step, forwards or backwards, which holder goes on, how late a write is made that was
admitted long ago.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from models.register_invariants import BrokenError, require
from models.register_world import ballot
from models.search import trace_of, with_item
from spine_core.leases import Lease, acquire, admits, release, renew
from spine_core.replication.registers.changes import (
    Basis,
    ChangeKind,
    ChangeVerdict,
    Make,
    NewValue,
    RegisterChange,
    apply_change,
)
from spine_core.replication.registers.state import LeaseGuard, RegisterValue, grown_from

HOLDERS = ("alice", "bob")
TTL_MS = 1_000
CLOCKS = (0, 10_000, 20_000)  # further apart than a lease and the drift

# Stages of a holder.
IDLE, GRANTED, HOLDING, WRITING = range(4)


class Holder(NamedTuple):
    """One holder; `GRANTED` until the new fence is stamped on the record, if it is."""

    stage: int = IDLE
    fence: int = 0
    grants: int = 0


class State(NamedTuple):
    lease: Lease | None = None
    holders: tuple[Holder, ...] = (Holder(),) * len(HOLDERS)
    record: RegisterValue = grown_from(None)
    made: int = 0  # changes of the record
    fences: tuple[int, ...] = ()  # of the writes that were made, 0 without
    granted: int = 0  # the newest fence
    held: int = 0  # the newest fence whose acquire was answered


@dataclass(frozen=True, slots=True)
class Outcome:
    states: int
    broken: str | None = None
    trace: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class LeaseModel:
    """`stamps`: an acquire names the record as its guard, and is answered when that is stamped."""

    stamps: bool = False
    grants: int = 2  # of each holder
    writes: int = 4  # of all

    def explore(self, *, limit: int = 200_000) -> Outcome:
        """Visit every state, depth first; stop at the first one that breaks a promise."""
        start = State()
        parents: dict[State, tuple[State, str] | None] = {start: None}
        stack = [start]
        while stack:
            state, label = stack.pop(), ""
            try:
                for label, after in self._steps(state):
                    if after not in parents:
                        parents[after] = (state, label)
                        stack.append(after)
            except BrokenError as error:
                steps = (*trace_of(state, parents), label)
                return Outcome(len(parents), str(error), steps)
            assert len(parents) < limit, "the model has grown out of hand"
        return Outcome(len(parents))

    def _steps(self, state: State) -> Iterator[tuple[str, State]]:
        for number, holder in enumerate(state.holders):
            for now_ms in CLOCKS:
                yield from self._lease_steps(state, number, holder, now_ms)
            yield from self._record_steps(state, number, holder)
        if len(state.fences) < self.writes:
            yield "a write without a fence", self._write(state, 0)

    def _lease_steps(
        self, state: State, number: int, holder: Holder, now_ms: int
    ) -> Iterator[tuple[str, State]]:
        name = HOLDERS[number]
        if holder.stage == IDLE and holder.grants < self.grants:
            lease = acquire(state.lease, name, TTL_MS, now_ms)
            if isinstance(lease, Lease):
                yield f"{name} acquires at {now_ms}", self._grant(state, number, lease)
        if holder.stage == HOLDING:
            lease_or_lost = renew(state.lease, name, holder.fence, TTL_MS, now_ms)
            if isinstance(lease_or_lost, Lease):
                yield f"{name} renews at {now_ms}", state._replace(lease=lease_or_lost)
            if admits(state.lease, holder.fence, now_ms) and len(state.fences) < self.writes:
                yield f"{name} begins a write", _with(state, number, holder, WRITING)

    def _record_steps(
        self, state: State, number: int, holder: Holder
    ) -> Iterator[tuple[str, State]]:
        name = HOLDERS[number]
        if holder.stage == GRANTED:
            yield f"{name} stamps {holder.fence}", self._stamp(state, number, holder)
        if holder.stage == WRITING:
            landed = self._write(state, holder.fence)
            yield f"{name} writes under {holder.fence}", _with(landed, number, holder, HOLDING)
        if holder.stage in (GRANTED, HOLDING):
            given_back = release(state.lease, name, holder.fence)
            lease = given_back if isinstance(given_back, Lease) else state.lease
            after = _with(state._replace(lease=lease), number, holder, IDLE)
            yield f"{name} gives {holder.fence} back, or has lost it", after

    def _grant(self, state: State, number: int, lease: Lease) -> State:
        require(lease.fence > state.granted, "a fence is granted twice")
        holder = Holder(GRANTED, lease.fence, state.holders[number].grants + 1)
        state = state._replace(lease=lease, granted=lease.fence)
        if self.stamps:
            return _with(state, number, holder, GRANTED)
        return _with(state, number, holder, HOLDING)

    def _stamp(self, state: State, number: int, holder: Holder) -> State:
        """Raise the guard of the record, then answer the acquire; or give the lease back."""
        stamped, verdict = _changed(state, holder.fence, _as_it_is)
        if verdict is ChangeVerdict.APPLIED:
            held = max(state.held, holder.fence)
            return _with(stamped._replace(held=held), number, holder, HOLDING)
        return _with(state, number, holder, IDLE)

    def _write(self, state: State, fence: int) -> State:
        after, verdict = _changed(state, fence, _written)
        if verdict is not ChangeVerdict.APPLIED:
            return state
        require(fence >= max(state.fences, default=0), "a write follows one of a higher fence")
        require(fence >= state.held, "an old holder writes after a new one was told of its lease")
        return after._replace(fences=(*state.fences, fence))


def _written(_basis: Basis) -> NewValue:
    return NewValue(b"written")


def _as_it_is(basis: Basis) -> NewValue:
    return NewValue(basis.held.body, flags=basis.held.flags)


def _changed(state: State, fence: int, make: Make) -> tuple[State, ChangeVerdict]:
    made = state.made + 1
    change = RegisterChange(
        kind=ChangeKind.WRITE,
        op=made,
        make=make,
        fence=LeaseGuard("deploy", fence) if fence else None,
    )
    changed = apply_change(change, state.record, ballot(made), first=None)
    if changed.verdict is not ChangeVerdict.APPLIED:
        return state, changed.verdict
    return state._replace(record=changed.value, made=made), changed.verdict


def _with(state: State, number: int, holder: Holder, stage: int) -> State:
    after = holder._replace(stage=stage, fence=0 if stage == IDLE else holder.fence)
    return state._replace(holders=with_item(state.holders, number, after))
