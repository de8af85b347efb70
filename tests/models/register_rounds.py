"""Rounds in the register model: prepares, accepts, and what their proposers make of the answers."""

from collections.abc import Iterator
from functools import partial

from models.register_run import Run
from models.register_world import (
    ACCEPTING,
    ANSWERED,
    ASKED,
    HAS_ACCEPTED,
    IDLE,
    NOTHING,
    OVER,
    PREPARING,
    ROUNDS,
    SLOT,
    TO_ACCEPT,
    UNUSED,
    Column,
    Round,
    State,
    round_cell,
    with_column,
    with_operation,
)
from models.search import with_item
from spine_core.replication.registers.changes import (
    Changed,
    NewValue,
    RegisterChange,
    apply_change,
)
from spine_core.replication.registers.proposer import (
    Answer,
    Propose,
    RoundTally,
    RoundVerdict,
    current_value,
    next_step,
)
from spine_core.replication.registers.state import RegisterValue
from spine_core.replication.replica_status import ReplicaStatus


def round_steps(run: Run, state: State) -> Iterator[tuple[str, State]]:
    for number in range(len(run.operations)):
        yield from _begin(run, state, number)
    for one, this in enumerate(state.rounds):
        if this.stage == UNUSED:
            continue
        for place in run.places(state):
            cell = state.columns[place].rounds[one]
            if cell not in (ASKED, TO_ACCEPT):
                continue
            for there in _carried(run, state, place, one):
                if cell == ASKED:
                    yield from _prepare(run, there, place, one)
                else:
                    yield from _accept(run, there, place, one)


def _carried(run: Run, state: State, place: int, one: int) -> Iterator[State]:
    """Return the state in which the store serves a message of the round, in the round's epoch."""
    epoch = state.rounds[one].epoch
    for at in range(epoch, epoch + 1 if run.cluster.rules.pinned else state.published + 1):
        there = run.cluster.at_epoch(state, place, at)
        if there is not None and place in run.cluster.members[at]:
            this = there.rounds[one]._replace(epoch=at)
            yield there._replace(rounds=with_item(there.rounds, one, this))


def _begin(run: Run, state: State, number: int) -> Iterator[tuple[str, State]]:
    operation, progress = run.operations[number], state.operations[number]
    if progress.stage == IDLE and not operation.weak and not operation.reads:
        progress = run.begun(state, progress)._replace(stage=ROUNDS)
    if progress.stage != ROUNDS or progress.rounds == operation.rounds:
        return
    for one, unused in enumerate(state.rounds):
        if unused.stage != UNUSED:
            continue
        first = one if progress.first < 0 else progress.first
        after = progress._replace(rounds=progress.rounds + 1, first=first)
        rounds = tuple(
            r._replace(stage=OVER)
            if r.operation == number and r.stage in (PREPARING, ACCEPTING)
            else r
            for r in state.rounds
        )
        for epoch, place, there in run.beginnings(state, number):
            begun = there._replace(
                columns=_cells(run, there, one, epoch, ASKED),
                rounds=with_item(rounds, one, Round(PREPARING, number, epoch=epoch)),
            )
            for label, promised in _prepare(run, with_operation(begun, number, after), place, one):
                yield f"operation {number} of epoch {epoch}, {label}", promised


def _cells(run: Run, state: State, one: int, epoch: int, cell: int) -> tuple[Column, ...]:
    """Return the columns with a message of the round under way to the stores of its epoch."""
    everybody = range(len(state.columns))
    asked = run.cluster.members[epoch] if run.cluster.rules.pinned else everybody
    return tuple(
        round_cell(column, one, cell) if place in asked else column
        for place, column in enumerate(state.columns)
    )


def _prepare(run: Run, state: State, place: int, one: int) -> Iterator[tuple[str, State]]:
    column = state.columns[place]
    replica, promise = run.at.prepare(column.replica, run.timestamps[one])
    if promise is None:
        return
    waits = state.rounds[one].stage == PREPARING
    noted = ANSWERED + promise if waits else NOTHING
    after = with_column(state, place, round_cell(column._replace(replica=replica), one, noted))
    label = f"{place}: promises {run.ballots[one]}"
    yield label, _tally_promises(run, after, one) if waits else after


def _accept(run: Run, state: State, place: int, one: int) -> Iterator[tuple[str, State]]:
    column = state.columns[place]
    replica, taken = run.at.accept(column.replica, run.timestamps[one], state.rounds[one].changed)
    if taken:
        now = round_cell(column._replace(replica=replica), one, HAS_ACCEPTED)
        after = _tally_accepts(run, with_column(state, place, now), one)
        yield f"{place}: accepts {run.ballots[one]}", after


def _tally_promises(run: Run, state: State, one: int) -> State:
    this = state.rounds[one]
    placed = run.cluster.placements[this.epoch]
    tally = RoundTally(placed, SLOT)
    promises = {}
    for store, column in zip(run.cluster.stores, state.columns, strict=True):
        if column.rounds[one] >= ANSWERED:
            tally.answer(store, ReplicaStatus.OK)
            promises[store] = run.at.promises.things[column.rounds[one] - ANSWERED]
    if tally.verdict() is not RoundVerdict.DONE:
        return state
    current = current_value(promises)
    step = next_step(current, run.timestamps[one], partial(_change, run, state, one))
    history = run.history(state, current)
    if isinstance(step, Propose):
        if step.changed.value != current.value:
            history = (*history, this.operation)
        proposal = this._replace(
            stage=ACCEPTING, changed=run.at.proposals.of(step.changed), history=history
        )
        columns = _cells(run, state, one, this.epoch, TO_ACCEPT)
        return state._replace(columns=columns, rounds=with_item(state.rounds, one, proposal))
    over = state._replace(
        rounds=with_item(state.rounds, one, this._replace(stage=OVER)),
        columns=tuple(
            round_cell(c, one, NOTHING) if c.rounds[one] >= ANSWERED else c for c in state.columns
        ),
    )
    if isinstance(step, Answer):
        if current.accepted in run.timestamps:
            over = run.chosen(over, run.timestamps.index(current.accepted))
        return run.answer(over, this.operation, step.changed, history)
    return over


def _change(run: Run, state: State, one: int, value: RegisterValue) -> Changed:
    number = state.rounds[one].operation
    operation, progress = run.operations[number], state.operations[number]
    change = RegisterChange(
        kind=operation.kind,
        op=number + 1,
        make=lambda _basis: NewValue(b"", flags=operation.flags),
        if_match=operation.if_match,
        fence=operation.fence,
    )
    retried = operation.same_coordinator and progress.first != one
    first = run.timestamps[progress.first] if retried else None
    return apply_change(change, value, run.timestamps[one], first=first, kept=run.kept)


def _tally_accepts(run: Run, state: State, one: int) -> State:
    this = state.rounds[one]
    tally = RoundTally(run.cluster.placements[this.epoch], SLOT)
    for store, column in zip(run.cluster.stores, state.columns, strict=True):
        if column.rounds[one] == HAS_ACCEPTED:
            tally.answer(store, ReplicaStatus.OK)
    if tally.verdict() is not RoundVerdict.DONE or one in state.chosen:
        return state
    state = run.chosen(state, one)
    if this.stage != ACCEPTING:
        return state
    state = state._replace(rounds=with_item(state.rounds, one, this._replace(stage=OVER)))
    return run.answer(state, this.operation, run.at.proposals.things[this.changed], this.history)
