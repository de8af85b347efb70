"""Quorum reads in the register model: answers, write-backs, and what a client may be shown."""

from collections.abc import Iterator
from collections.abc import Set as AbstractSet

from models.register_invariants import check_read_weak, require
from models.register_run import Run
from models.register_world import (
    ANSWERED,
    ASKED,
    DONE,
    IDLE,
    NOTHING,
    READING,
    ROUNDS,
    SLOT,
    STATUSES,
    WRITING_BACK,
    Progress,
    State,
    read_cell,
    with_column,
    with_operation,
)
from spine_core.records.versions import ABSENT, STRONG, Version, kind_of
from spine_core.replication.put_rules import PutKind
from spine_core.replication.read_tally import Found, QuorumRead, WriteBack
from spine_core.replication.replica_status import ReplicaStatus
from spine_core.replication.write_back_tally import WriteBackTally
from spine_core.replication.write_tally import WriteVerdict
from spine_core.scalars import StoreNumber

_HOLDS = ANSWERED + STATUSES.index(ReplicaStatus.OK)  # as if it had answered a write-back


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
    read = QuorumRead[Version](run.cluster.placements[progress.epoch], SLOT, run.cluster.stores)
    registers = []
    for store, column in zip(run.cluster.stores, state.columns, strict=True):
        if column.reads[number] >= ANSWERED:
            reply = run.at.replies.things[column.reads[number] - ANSWERED]
            read.answer(store, ReplicaStatus.OK, reply.held, reply.held, reply.register)
            registers.append(reply.register)
    verdict = read.verdict()
    label = f"{place}: answers read {number} of epoch {progress.epoch}"
    if verdict is None:
        return label, state
    label = f"{label}: {verdict}"
    state = state._replace(columns=tuple(read_cell(c, number, NOTHING) for c in state.columns))
    match verdict:
        case Found(copy=version):
            ballots = [r.ballot for r in registers if r is not None and r.version == version]
            if ballots and read.newest != version:
                state = run.chosen(state, run.timestamps.index(max(ballots)))
            return label, _show(run, state, number, ABSENT if version is None else version)
        case WriteBack(newest=version, holders=holders):
            return label, _write_back(run, state, number, version, holders)
        case _:
            return label, with_operation(state, number, progress._replace(stage=ROUNDS))


def _write_back(
    run: Run, state: State, number: int, version: Version, holders: AbstractSet[StoreNumber]
) -> State:
    progress = state.operations[number]
    tally = WriteBackTally(run.cluster.placements[progress.epoch], SLOT, holders)
    asked = frozenset(tally.asked())
    cells = {
        store: ASKED if store in asked else _HOLDS if store in holders else NOTHING
        for store in run.cluster.stores
    }
    columns = tuple(
        read_cell(column, number, cells[store])
        for store, column in zip(run.cluster.stores, state.columns, strict=True)
    )
    back = progress._replace(stage=WRITING_BACK, found=version)
    return with_operation(state._replace(columns=columns), number, back)


def _put_back(run: Run, state: State, place: int, number: int) -> tuple[str, State]:
    column, progress = state.columns[place], state.operations[number]
    version, waits = progress.found, progress.stage == WRITING_BACK
    replica, status = run.at.put(
        column.replica, version, run.bases[version] + 1, PutKind.WRITE_BACK
    )
    label = f"{place}: write-back of read {number} is {status}"
    cell = ANSWERED + STATUSES.index(status) if waits else NOTHING
    state = with_column(state, place, read_cell(column._replace(replica=replica), number, cell))
    if not waits:
        return label, state
    tally = WriteBackTally(run.cluster.placements[progress.epoch], SLOT, frozenset())
    for store, column in zip(run.cluster.stores, state.columns, strict=True):
        if column.reads[number] >= ANSWERED:
            tally.answer(store, STATUSES[column.reads[number] - ANSWERED])
    verdict = tally.verdict()
    if verdict is None:
        return label, state
    state = _over(state, number)
    if verdict is WriteVerdict.ACKNOWLEDGED:
        return label, _show(run, state, number, version)
    stage = ROUNDS if verdict is WriteVerdict.REROUTE else DONE
    return label, with_operation(state, number, progress._replace(stage=stage))


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
