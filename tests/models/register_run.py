"""What one run of the register model is about: the cluster, the operations, what the adversary may do."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from models.register_cluster import STABLE, Cluster
from models.register_invariants import check_chosen, check_refused, require
from models.register_replicas import Replicas
from models.register_world import (
    DELETED,
    DONE,
    ORIGIN,
    History,
    Operation,
    Progress,
    State,
    ballot,
    base_of,
    extends,
    longest_chosen,
    with_operation,
)
from spine_core.records.versions import Version, make_version
from spine_core.replication.registers.changes import Changed, ChangeVerdict
from spine_core.replication.registers.proposer import Current
from spine_core.replication.registers.state import CHANGES_KEPT, NO_BALLOT, Ballot, ballot_hlc
from spine_core.scalars import Hlc

_REFUSALS = (
    ChangeVerdict.PRECONDITION_FAILED,
    ChangeVerdict.NOT_FOUND,
    ChangeVerdict.FENCE_STALE,
    ChangeVerdict.FENCE_REQUIRED,
)


@dataclass(eq=False)
class Run:
    """One record, and what is done to it."""

    operations: Sequence[Operation]
    ballots: Sequence[int]  # timestamps, lowest first
    cluster: Cluster = STABLE
    learning: bool = False
    lossy: bool = False  # answers to weak puts are lost
    anti_entropy: bool = False  # replicas pull weak records from each other
    kept: int = CHANGES_KEPT
    purged_at: int | None = None  # begin with a learned tombstone of this ballot; replicas purge it
    verdicts: set[tuple[int, str]] = field(default_factory=set)

    @cached_property
    def at(self) -> Replicas:
        return Replicas()

    @cached_property
    def attempts(self) -> tuple[tuple[int, int], ...]:
        """Every weak attempt: its operation and its number there."""
        return tuple(
            (one, number)
            for one, operation in enumerate(self.operations)
            for number in range(len(operation.weak))
        )

    @cached_property
    def bases(self) -> dict[Version, int]:
        """Every weak version, and the operation that writes it."""
        return {self.version(*attempt): attempt[0] for attempt in self.attempts}

    @cached_property
    def timestamps(self) -> tuple[Ballot, ...]:
        return tuple(map(ballot, self.ballots))

    def version(self, operation: int, attempt: int) -> Version:
        return make_version(Hlc(self.operations[operation].weak[attempt]), ORIGIN)

    def places(self, state: State) -> Iterator[int]:
        """Return the places of the replicas, without those whose twin does the same."""
        columns = state.columns
        for place, column in enumerate(columns):
            if 0 < place < self.cluster.alike and column == columns[place - 1]:
                continue
            yield place

    def beginnings(self, state: State, number: int) -> Iterator[tuple[int, int, State]]:
        """Return the epoch, place and state with which an attempt may meet its first replica."""
        for epoch in range(state.published + 1):
            if self.operations[number].epochs and epoch not in self.operations[number].epochs:
                continue
            for place in self.places(state):
                if place in self.cluster.members[epoch]:
                    there = self.cluster.at_epoch(state, place, epoch)
                    if there is not None:
                        yield epoch, place, there

    def begun(self, state: State, progress: Progress) -> Progress:
        """Return an operation that begins now: what it must not miss."""
        return progress._replace(acked=state.acked, chosen=longest_chosen(state))

    def history(self, state: State, current: Current) -> History:
        if current.accepted == NO_BALLOT:
            return (current.value.base,)
        if int(ballot_hlc(current.accepted)) == self.purged_at:
            return DELETED
        return state.rounds[self.timestamps.index(current.accepted)].history

    def chosen(self, state: State, one: int) -> State:
        """Count a value as chosen: by its accepts, or since somebody is told that it was.

        After a change a value can be on a write quorum that never accepted it there: the store that
        gained the slot has it from its source.
        """
        if one in state.chosen:
            return state
        state = state._replace(chosen=tuple(sorted((*state.chosen, one))))
        check_chosen(state, state.rounds[one].history, self.bases)
        return state

    def answer(self, state: State, number: int, changed: Changed, history: History) -> State:
        """Tell the client; the value that the answer rests on has this history."""
        self.check_seen(state, number, history)
        state = self.done(state, number, changed.verdict)
        if changed.verdict in (ChangeVerdict.APPLIED, ChangeVerdict.ALREADY):
            effective = number in history[1:] or self.bases.get(base_of(history)) == number
            require(effective, "an operation that did nothing is called applied")
        if changed.may_have_applied or changed.verdict not in _REFUSALS:
            return state
        state = state._replace(refused=state.refused | {number})
        check_refused(state)
        return state

    def check_seen(self, state: State, number: int, history: History) -> None:
        """Whether an answer rests on a chosen value that misses nothing from before it."""
        progress = state.operations[number]
        require(extends(history, progress.chosen), "I4: misses what was chosen before")
        require(base_of(history) >= progress.acked, "I4: misses what was acknowledged before")
        known = {DELETED, *(state.rounds[one].history for one in state.chosen)}
        require(history in known, "an answer from a value that is not chosen")

    def done(self, state: State, number: int, verdict: str) -> State:
        self.verdicts.add((number, verdict))
        progress = state.operations[number]
        over = Progress(DONE, epoch=progress.epoch, found=progress.found)
        return with_operation(state, number, over)
