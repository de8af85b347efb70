"""Weak puts in the register model: what replicas answer, and what their coordinators do then."""

from collections.abc import Iterator

from models.register_invariants import require
from models.register_run import Run
from models.register_world import (
    ANSWERED,
    ASKED,
    DONE,
    IDLE,
    NOTHING,
    ROUNDS,
    SLOT,
    STATUSES,
    WEAK,
    State,
    base_of,
    put_cell,
    with_column,
    with_operation,
)
from models.search import with_item
from spine_core.replication.put_rules import PutKind
from spine_core.replication.replica_status import ReplicaStatus
from spine_core.replication.write_tally import WriteTally, WriteVerdict


def put_steps(run: Run, state: State) -> Iterator[tuple[str, State]]:
    for cell, (number, attempt) in enumerate(run.attempts):
        progress = state.operations[number]
        if progress.stage == IDLE:
            if attempt == 0:
                yield from _first(run, state, cell, number)
            continue
        if progress.stage == WEAK and progress.attempt == attempt and state.sent[cell] < 0:
            yield from _first(run, state, cell, number)
            continue
        for place in run.places(state):
            if state.columns[place].puts[cell] != ASKED:
                continue
            there = run.cluster.at_epoch(state, place, state.sent[cell])
            if there is not None:
                yield from _deliver(run, there, place, cell)


def _first(run: Run, state: State, cell: int, number: int) -> Iterator[tuple[str, State]]:
    """Send an attempt, and deliver it to one replica."""
    progress = state.operations[number]
    if progress.stage == IDLE:
        progress = run.begun(state, progress)._replace(stage=WEAK)
    for epoch, place, there in run.beginnings(state, number):
        sent = there._replace(
            columns=tuple(
                put_cell(column, cell, ASKED) if at in run.cluster.members[epoch] else column
                for at, column in enumerate(there.columns)
            ),
            sent=with_item(there.sent, cell, epoch),
        )
        sent = with_operation(sent, number, progress._replace(epoch=epoch))
        yield from _deliver(run, sent, place, cell)


def _deliver(run: Run, state: State, place: int, cell: int) -> Iterator[tuple[str, State]]:
    number, attempt = run.attempts[cell]
    column, progress = state.columns[place], state.operations[number]
    version = run.version(number, attempt)
    replica, status = run.at.put(column.replica, version, number + 1, PutKind.WRITE)
    waits = progress.stage == WEAK and progress.attempt == attempt
    label = f"{place}: put {number}.{attempt} of epoch {state.sent[cell]} is {status}"
    for told in (status, ReplicaStatus.LOST) if run.lossy and waits else (status,):
        noted = ANSWERED + STATUSES.index(told) if waits else NOTHING
        now = put_cell(column._replace(replica=replica), cell, noted)
        after = with_column(state, place, now)
        yield label, _tally(run, after, number, cell) if waits else after


def _tally(run: Run, state: State, number: int, cell: int) -> State:
    progress = state.operations[number]
    tally = WriteTally(run.cluster.placements[progress.epoch], SLOT)
    for store, column in zip(run.cluster.stores, state.columns, strict=True):
        if column.puts[cell] >= ANSWERED:
            tally.answer(store, STATUSES[column.puts[cell] - ANSWERED])
    verdict = tally.verdict()
    if verdict is None:
        return state
    columns = tuple(
        put_cell(c, cell, NOTHING) if c.puts[cell] >= ANSWERED else c for c in state.columns
    )
    state = state._replace(columns=columns)
    if verdict is WriteVerdict.ACKNOWLEDGED:
        return _acknowledge(run, state, number)
    if verdict is WriteVerdict.REROUTE:
        stage, attempt = ROUNDS, progress.attempt
    else:
        stage, attempt = WEAK, progress.attempt + 1
        if verdict is not WriteVerdict.RESTAMP or attempt == len(run.operations[number].weak):
            stage = DONE  # given up; who knows what becomes of it
    return with_operation(state, number, progress._replace(stage=stage, attempt=attempt))


def _acknowledge(run: Run, state: State, number: int) -> State:
    progress = state.operations[number]
    version = run.version(number, progress.attempt)
    require(not progress.chosen, "I4: acknowledged weakly after a round was chosen")
    require(version > progress.acked, "I4: acknowledged below what was acknowledged before")
    for one in state.chosen:
        base = base_of(state.rounds[one].history)
        require(base >= version, "I1: acknowledged above the base of a chosen value")
    state = run.done(state, number, "acknowledged")
    return state._replace(acked=max(state.acked, version))
