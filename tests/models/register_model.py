"""Explicit-state model of one record that is written weakly and by rounds at the same time.

What replicas, proposers and the coordinators of weak puts decide is the product's own. All else is
the adversary's: which ballots rounds get, when messages arrive (or never, or after their round was
given up), which answers are lost, when a chosen value is learned, when a coordinator stops. A replica
that crashes keeps what it stored, and one that stays away is one that is never scheduled again.

The model writes its own history of every value: the weak version it grew from, then the operations
that changed it. Whatever a value says about itself is not believed.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from itertools import combinations

from models.register_invariants import (
    BrokenError,
    check_chosen,
    check_fresh_round,
    check_refused,
    require,
)
from models.register_replicas import Replicas
from models.register_settled import settle
from models.register_world import (
    ACCEPTING,
    ANSWERED,
    ASKED,
    DELETED,
    DELETION,
    DONE,
    HAS_ACCEPTED,
    IDLE,
    NOTHING,
    ORIGIN,
    OVER,
    PLACED,
    PREPARING,
    ROUNDS,
    SLOT,
    STORES,
    TO_ACCEPT,
    UNUSED,
    WEAK,
    Column,
    History,
    Operation,
    Outcome,
    Progress,
    Round,
    State,
    ballot,
    base_of,
    extends,
    longest_chosen,
    put_cell,
    round_cell,
    with_column,
)
from models.search import trace_of, with_item
from spine_core.records.versions import Version, make_version
from spine_core.replication.registers.changes import (
    Changed,
    ChangeVerdict,
    NewValue,
    RegisterChange,
    apply_change,
)
from spine_core.replication.registers.proposer import (
    Answer,
    Current,
    Propose,
    RoundTally,
    RoundVerdict,
    current_value,
    next_step,
)
from spine_core.replication.registers.state import (
    CHANGES_KEPT,
    NO_BALLOT,
    RegisterValue,
    ballot_hlc,
)
from spine_core.replication.replica_status import ReplicaStatus
from spine_core.replication.write_tally import WriteTally, WriteVerdict
from spine_core.scalars import Hlc

STATUSES = tuple(ReplicaStatus)
_REFUSALS = (ChangeVerdict.PRECONDITION_FAILED, ChangeVerdict.NOT_FOUND)


@dataclass(eq=False)
class Model:
    """One record on three replicas, and what is done to it."""

    operations: Sequence[Operation]
    ballots: Sequence[int]  # timestamps, lowest first
    learning: bool = False
    lossy: bool = False  # answers to weak puts are lost
    kept: int = CHANGES_KEPT
    purged_at: int | None = None  # begin with a learned tombstone of this ballot; replicas purge it
    _at: Replicas = field(default_factory=Replicas)
    _verdicts: set[tuple[int, str]] = field(default_factory=set)

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

    def version(self, operation: int, attempt: int) -> Version:
        return make_version(Hlc(self.operations[operation].weak[attempt]), ORIGIN)

    def start(self) -> State:
        replica = self._at.empty()
        if self.purged_at is not None:
            replica = self._at.deleted(ballot(self.purged_at), DELETION)
        no_rounds, no_puts = (NOTHING,) * len(self.ballots), (NOTHING,) * len(self.attempts)
        column = Column(replica, no_rounds, no_puts)
        idle = (Progress(IDLE),) * len(self.operations)
        return State((column,) * len(STORES), idle, (Round(),) * len(self.ballots))

    def explore(self, *, limit: int = 400_000) -> Outcome:
        """Visit every state, depth first; stop at the first one that breaks an invariant."""
        start = self.start()
        parents: dict[State, tuple[State, str] | None] = {start: None}
        stack = [start]
        while stack:
            state = stack.pop()
            label = ""
            try:
                for label, after in self._steps(state):
                    settled = self._settled(after)
                    if settled in parents:
                        continue
                    parents[settled] = (state, label)
                    self._check_fresh_rounds(settled)
                    stack.append(settled)
            except BrokenError as error:
                steps = (*trace_of(state, parents), label)
                return Outcome(len(parents), frozenset(self._verdicts), str(error), steps)
            assert len(parents) < limit, "the model has grown out of hand"
        return Outcome(len(parents), frozenset(self._verdicts))

    def _steps(self, state: State) -> Iterator[tuple[str, State]]:
        for number in range(len(self.operations)):
            yield from self._begin(state, number)
        for place, column in enumerate(state.columns):
            if place and column == state.columns[place - 1]:
                continue  # its twin has done the same
            yield from self._deliver_puts(state, place)
            yield from self._deliver_rounds(state, place)
            yield from self._learn(state, place)
            yield from self._purge(state, place)

    # Beginnings

    def _begin(self, state: State, number: int) -> Iterator[tuple[str, State]]:
        operation, progress = self.operations[number], state.operations[number]
        if progress.stage == IDLE:
            progress = progress._replace(acked=state.acked, chosen=longest_chosen(state))
            if operation.weak:
                weak = progress._replace(stage=WEAK)
                yield f"put {number}", self._send_put(state, number, weak)
                return
            progress = progress._replace(stage=ROUNDS)
        if progress.stage != ROUNDS or progress.rounds == operation.rounds:
            return
        for place, one in enumerate(state.rounds):
            if one.stage != UNUSED:
                continue
            first = place if progress.first < 0 else progress.first
            after = progress._replace(rounds=progress.rounds + 1, first=first)
            rounds = tuple(
                r._replace(stage=OVER)
                if r.operation == number and r.stage in (PREPARING, ACCEPTING)
                else r
                for r in state.rounds
            )
            yield (
                f"operation {number} prepares {self.ballots[place]}",
                state._replace(
                    columns=tuple(round_cell(c, place, ASKED) for c in state.columns),
                    operations=with_item(state.operations, number, after),
                    rounds=with_item(rounds, place, Round(PREPARING, number)),
                ),
            )

    def _send_put(self, state: State, number: int, progress: Progress) -> State:
        place = self.attempts.index((number, progress.attempt))
        return state._replace(
            columns=tuple(put_cell(column, place, ASKED) for column in state.columns),
            operations=with_item(state.operations, number, progress),
        )

    # Weak puts

    def _deliver_puts(self, state: State, place: int) -> Iterator[tuple[str, State]]:
        column = state.columns[place]
        for cell, (number, attempt) in enumerate(self.attempts):
            if column.puts[cell] != ASKED:
                continue
            replica, status = self._at.put(
                column.replica, self.version(number, attempt), number + 1
            )
            progress = state.operations[number]
            waits = progress.stage == WEAK and progress.attempt == attempt
            label = f"{place}: put {number}.{attempt} is {status}"
            for told in (status, ReplicaStatus.LOST) if self.lossy and waits else (status,):
                noted = ANSWERED + STATUSES.index(told) if waits else NOTHING
                now = put_cell(column._replace(replica=replica), cell, noted)
                after = with_column(state, place, now)
                yield label, self._tally_put(after, number, cell) if waits else after

    def _tally_put(self, state: State, number: int, cell: int) -> State:
        tally = WriteTally(PLACED, SLOT)
        for store, column in zip(STORES, state.columns, strict=True):
            if column.puts[cell] >= ANSWERED:
                tally.answer(store, STATUSES[column.puts[cell] - ANSWERED])
        verdict, progress = tally.verdict(), state.operations[number]
        if verdict is None:
            return state
        columns = tuple(
            put_cell(c, cell, NOTHING) if c.puts[cell] >= ANSWERED else c for c in state.columns
        )
        state = state._replace(columns=columns)
        if verdict is WriteVerdict.ACKNOWLEDGED:
            return self._acknowledge(state, number)
        if verdict is WriteVerdict.REROUTE:
            stage, attempt = ROUNDS, progress.attempt
        else:
            stage, attempt = WEAK, progress.attempt + 1
            if verdict is not WriteVerdict.RESTAMP or attempt == len(self.operations[number].weak):
                stage = DONE  # given up; who knows what becomes of it
        progress = progress._replace(stage=stage, attempt=attempt)
        if stage == WEAK:
            return self._send_put(state, number, progress)
        return state._replace(operations=with_item(state.operations, number, progress))

    def _acknowledge(self, state: State, number: int) -> State:
        progress = state.operations[number]
        version = self.version(number, progress.attempt)
        require(not progress.chosen, "I4: acknowledged weakly after a round was chosen")
        require(version > progress.acked, "I4: acknowledged below what was acknowledged before")
        for one in state.chosen:
            base = base_of(state.rounds[one].history)
            require(base >= version, "I1: acknowledged above the base of a chosen value")
        self._verdicts.add((number, "acknowledged"))
        return state._replace(
            operations=with_item(state.operations, number, Progress(DONE)),
            acked=max(state.acked, version),
        )

    # Rounds

    def _deliver_rounds(self, state: State, place: int) -> Iterator[tuple[str, State]]:
        column = state.columns[place]
        for one, cell in enumerate(column.rounds):
            if cell == ASKED:
                replica, promise = self._at.prepare(column.replica, ballot(self.ballots[one]))
                if promise is None:
                    continue
                waits = state.rounds[one].stage == PREPARING
                noted = ANSWERED + promise if waits else NOTHING
                now = round_cell(column._replace(replica=replica), one, noted)
                after = with_column(state, place, now)
                label = f"{place}: promises {self.ballots[one]}"
                yield label, self._tally_promises(after, one) if waits else after
            elif cell == TO_ACCEPT:
                replica, taken = self._at.accept(
                    column.replica, ballot(self.ballots[one]), state.rounds[one].changed
                )
                if not taken:
                    continue
                now = round_cell(column._replace(replica=replica), one, HAS_ACCEPTED)
                after = with_column(state, place, now)
                yield f"{place}: accepts {self.ballots[one]}", self._tally_accepts(after, one)

    def _tally_promises(self, state: State, one: int) -> State:
        cells = [column.rounds[one] for column in state.columns]
        tally = RoundTally(PLACED, SLOT)
        promises = {}
        for store, cell in zip(STORES, cells, strict=True):
            if cell >= ANSWERED:
                tally.answer(store, ReplicaStatus.OK)
                promises[store] = self._at.promises.things[cell - ANSWERED]
        if tally.verdict() is not RoundVerdict.DONE:
            return state
        number, this = state.rounds[one].operation, ballot(self.ballots[one])
        current = current_value(promises)
        step = next_step(current, this, partial(self._change, number, state, one))
        history = self._history(state, current)
        if isinstance(step, Propose):
            if step.changed.value != current.value:
                history = (*history, number)
            proposal = Round(ACCEPTING, number, self._at.proposals.of(step.changed), history)
            columns = tuple(round_cell(c, one, TO_ACCEPT) for c in state.columns)
            return state._replace(columns=columns, rounds=with_item(state.rounds, one, proposal))
        over = state._replace(rounds=with_item(state.rounds, one, Round(OVER, number)))
        over = over._replace(
            columns=tuple(
                round_cell(c, one, NOTHING) if c.rounds[one] >= ANSWERED else c
                for c in over.columns
            )
        )
        return (
            self._answer(over, number, step.changed, history) if isinstance(step, Answer) else over
        )

    def _change(self, number: int, state: State, one: int, value: RegisterValue) -> Changed:
        operation, progress = self.operations[number], state.operations[number]
        change = RegisterChange(
            kind=operation.kind,
            op=number + 1,
            make=lambda _basis: NewValue(b"", flags=operation.flags),
            if_match=operation.if_match,
        )
        retried = operation.same_coordinator and progress.first != one
        first = ballot(self.ballots[progress.first]) if retried else None
        return apply_change(change, value, ballot(self.ballots[one]), first=first, kept=self.kept)

    def _history(self, state: State, current: Current) -> History:
        if current.accepted == NO_BALLOT:
            return (current.value.base,)
        hlc = int(ballot_hlc(current.accepted))
        if hlc == self.purged_at:
            return DELETED
        return state.rounds[list(self.ballots).index(hlc)].history

    def _tally_accepts(self, state: State, one: int) -> State:
        tally = RoundTally(PLACED, SLOT)
        for store, column in zip(STORES, state.columns, strict=True):
            if column.rounds[one] == HAS_ACCEPTED:
                tally.answer(store, ReplicaStatus.OK)
        if tally.verdict() is not RoundVerdict.DONE or one in state.chosen:
            return state
        state = state._replace(chosen=tuple(sorted((*state.chosen, one))))
        check_chosen(state, state.rounds[one].history, self.bases)
        this = state.rounds[one]
        if this.stage != ACCEPTING:
            return state
        state = state._replace(rounds=with_item(state.rounds, one, this._replace(stage=OVER)))
        return self._answer(
            state, this.operation, self._at.proposals.things[this.changed], this.history
        )

    def _answer(self, state: State, number: int, changed: Changed, history: History) -> State:
        """Tell the client; the value that the answer rests on has this history."""
        progress = state.operations[number]
        require(extends(history, progress.chosen), "I4: misses what was chosen before")
        require(base_of(history) >= progress.acked, "I4: misses what was acknowledged before")
        known = {DELETED, *(state.rounds[one].history for one in state.chosen)}
        require(history in known, "an answer from a value that is not chosen")
        self._verdicts.add((number, changed.verdict))
        state = state._replace(operations=with_item(state.operations, number, Progress(DONE)))
        if changed.verdict in (ChangeVerdict.APPLIED, ChangeVerdict.ALREADY):
            effective = number in history[1:] or self.bases.get(base_of(history)) == number
            require(effective, "an operation that did nothing is called applied")
        if changed.may_have_applied or changed.verdict not in _REFUSALS:
            return state
        state = state._replace(refused=state.refused | {number})
        check_refused(state)
        return state

    def _learn(self, state: State, place: int) -> Iterator[tuple[str, State]]:
        column = state.columns[place]
        for one in state.chosen if self.learning else ():
            this = ballot(self.ballots[one])
            replica = self._at.learn(column.replica, this, state.rounds[one].changed)
            if replica != column.replica:
                yield (
                    f"{place}: learns {self.ballots[one]}",
                    with_column(state, place, column._replace(replica=replica)),
                )

    def _purge(self, state: State, place: int) -> Iterator[tuple[str, State]]:
        """Raise the floor of a replica to the deletion of the beginning."""
        column = state.columns[place]
        if self.purged_at is not None and not self._at.replicas.things[column.replica].floor:
            replica = self._at.purged(column.replica, Hlc(self.purged_at))
            yield f"{place}: purges", with_column(state, place, column._replace(replica=replica))

    def _check_fresh_rounds(self, state: State) -> None:
        for one, other in combinations(state.columns, 2):
            current = self._at.fresh(one.replica, other.replica)
            check_fresh_round(state, self._history(state, current))

    def _settled(self, state: State) -> State:
        purging = self.purged_at is not None
        return settle(state, self._at, self.operations, self.ballots, purging=purging)
