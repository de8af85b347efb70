"""Quorum reads in the register model: answers, write-backs, and what a client may be shown."""

from collections.abc import Iterator

from models.register_invariants import check_read_weak, require
from models.register_reading import ReadVerdict, judge_read
from models.register_run import Run
from models.register_world import (
    ANSWERED,
    ASKED,
    HOLDS,
    IDLE,
    NOTHING,
    READING,
    ROUNDS,
    SLOT,
    WRITING_BACK,
    Progress,
    State,
    read_cell,
    with_column,
    with_operation,
)
from spine_core.records.versions import STRONG, Version, kind_of
from spine_core.replication.put_rules import PutKind
from spine_core.replication.quorums import read_done
from spine_core.replication.registers.state import NO_BALLOT
from spine_core.replication.replica_status import ReplicaStatus
from spine_core.replication.write_back_tally import WriteBackTally
from spine_core.replication.write_tally import WriteVerdict


def read_steps(run: Run, state: State) -> Iterator[tuple[str, State]]:
    for number, operation in enumerate(run.operations):
        if operation.reads:
            progress = state.operations[number]
            if progress.stage == IDLE:
                yield from _begin(run, state, number)
            wanted = NOTHING if progress.stage == READING else ASKED
            for place in _waiting(run, progress):
                if state.columns[place].reads[number] == wanted:
                    yield from _served(run, state, place, number)


def _waiting(run: Run, progress: Progress) -> tuple[int, ...]:
    """Return the places at which a question or a write-back of the read may arrive."""
    places = run.cluster.readers if progress.stage == READING else run.cluster.members
    return places[progress.epoch]


def _begin(run: Run, state: State, number: int) -> Iterator[tuple[str, State]]:
    asking = run.begun(state, state.operations[number])._replace(stage=READING)
    for epoch, place, there in run.beginnings(state, number):
        if place in run.cluster.readers[epoch]:
            begun = with_operation(there, number, asking._replace(epoch=epoch))
            yield _ask(run, begun, place, number)


def _served(run: Run, state: State, place: int, number: int) -> Iterator[tuple[str, State]]:
    progress = state.operations[number]
    there = run.cluster.at_epoch(state, place, progress.epoch)
    if there is not None:
        step = _ask if progress.stage == READING else _put_back
        yield step(run, there, place, number)


def _ask(run: Run, state: State, place: int, number: int) -> tuple[str, State]:
    column, progress = state.columns[place], state.operations[number]
    cell = ANSWERED + run.at.reply(column.replica)
    state = with_column(state, place, read_cell(column, number, cell))
    replies = {
        store: run.at.replies.things[column.reads[number] - ANSWERED]
        for store, column in zip(run.cluster.stores, state.columns, strict=True)
        if column.reads[number] >= ANSWERED
    }
    placed = run.cluster.placements[progress.epoch]
    label = f"{place}: answers read {number} of epoch {progress.epoch}"
    if not read_done(placed, SLOT, replies.keys()):
        return label, state
    verdict, version, seen = judge_read(replies, placed, SLOT, trusting=run.trusting_reads)
    label = f"{label}: {verdict}"
    holds = {store for store, reply in replies.items() if reply.held == version}
    state = state._replace(columns=tuple(read_cell(c, number, NOTHING) for c in state.columns))
    if verdict is ReadVerdict.IDENTITY:
        return label, with_operation(state, number, progress._replace(stage=ROUNDS))
    if seen != NO_BALLOT:
        state = run.chosen(state, run.timestamps.index(seen))
    if verdict is ReadVerdict.FOUND:
        return label, _show(run, state, number, version)
    columns = tuple(
        read_cell(column, number, HOLDS if run.cluster.stores[at] in holds else ASKED)
        if at in run.cluster.members[progress.epoch]
        else column
        for at, column in enumerate(state.columns)
    )
    back = progress._replace(stage=WRITING_BACK, found=version)
    return label, with_operation(state._replace(columns=columns), number, back)


def _put_back(run: Run, state: State, place: int, number: int) -> tuple[str, State]:
    column, progress = state.columns[place], state.operations[number]
    version, waits = progress.found, progress.stage == WRITING_BACK
    replica, status = run.at.put(
        column.replica, version, run.bases[version] + 1, PutKind.WRITE_BACK
    )
    label = f"{place}: write-back of read {number} is {status}"
    if status is ReplicaStatus.STRONG and waits and not run.holds_beside_promise(column, version):
        state = with_column(state, place, read_cell(column, number, NOTHING))
        return label, _over(with_operation(state, number, progress._replace(stage=ROUNDS)), number)
    column = read_cell(column._replace(replica=replica), number, HOLDS if waits else NOTHING)
    state = with_column(state, place, column)
    if not waits:
        return label, state
    placed = run.cluster.placements[progress.epoch]
    holders = {
        store
        for store, column in zip(run.cluster.stores, state.columns, strict=True)
        if column.reads[number] == HOLDS
    }
    if WriteBackTally(placed, SLOT, holders).verdict() is WriteVerdict.ACKNOWLEDGED:
        state = _over(state, number)
        return label, _show(run, state, number, version)
    return label, state


def _over(state: State, number: int) -> State:
    """Forget what came; what is under way may still arrive."""
    return state._replace(
        columns=tuple(
            read_cell(c, number, NOTHING) if c.reads[number] != ASKED else c for c in state.columns
        )
    )


def _show(run: Run, state: State, number: int, version: Version) -> State:
    """Show a version to the client; from now on it counts as acknowledged."""
    progress = state.operations[number]
    if kind_of(version) != STRONG:
        check_read_weak(state, progress, version)
        state = run.done(state, number, "found weak")
        return state._replace(acked=max(state.acked, version))
    shown = [
        state.rounds[one].history
        for one in state.chosen
        if run.at.proposals.things[state.rounds[one].changed].value.record.version == version
    ]
    require(bool(shown), "a read shows what was not chosen")
    for history in shown:
        run.check_seen(state, number, history)
    return run.done(state, number, "found strong")
