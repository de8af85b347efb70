"""Fewer states with the same fates: forget what can have no effect any more, and sort the replicas."""

from collections.abc import Sequence

from models.register_run import Run
from models.register_world import (
    ACCEPTING,
    ANSWERED,
    ASKED,
    DONE,
    HAS_ACCEPTED,
    NOTHING,
    OVER,
    PREPARING,
    ROUNDS,
    TO_ACCEPT,
    UNUSED,
    WEAK,
    WRITING_BACK,
    Column,
    Operation,
    Progress,
    Round,
    State,
)
from spine_core.records.versions import ABSENT
from spine_core.replication.put_rules import PutKind

_IS_ACCEPT = frozenset({TO_ACCEPT, HAS_ACCEPTED}).__contains__


def _is_promise(cell: int) -> bool:
    return cell == ASKED or cell >= ANSWERED


def settle(run: Run, state: State) -> State:
    """Return the state in its one shape; a purge might make room for messages refused today."""
    grid = [list(column.rounds) for column in state.columns]
    _drop_refused(run, state, grid)
    rounds = [
        this if this.stage == UNUSED else _settled_round(run, state, one, grid)
        for one, this in enumerate(state.rounds)
    ]
    columns = [
        column._replace(
            rounds=tuple(row),
            puts=_settled_puts(run, state, place) if any(column.puts) else column.puts,
            reads=_settled_reads(run, state, place) if any(column.reads) else column.reads,
        )
        for place, (column, row) in enumerate(zip(state.columns, grid, strict=True))
    ]
    alike = run.cluster.alike
    return state._replace(
        columns=(*sorted(columns[:alike]), *columns[alike:]),
        rounds=tuple(rounds),
        operations=_without_hopeless(state.operations, rounds, run.operations, columns),
    )


def _settled_round(run: Run, state: State, one: int, grid: list[list[int]]) -> Round:
    """End a round that can reach no quorum any more."""
    this, cells = state.rounds[one], [row[one] for row in grid]
    accepts = sum(map(_IS_ACCEPT, cells))
    dead = one in state.chosen
    if not dead and run.cluster.rules.pinned:
        grants = _is_promise if this.stage == PREPARING else _IS_ACCEPT
        hopeful = {place for place, cell in enumerate(cells) if grants(cell)}
        dead = not run.cluster.write_done(this.epoch, hopeful)
    if dead:
        this = this._replace(stage=OVER)
        for row in grid:
            if row[one] not in (ASKED, TO_ACCEPT):
                row[one] = NOTHING
    if this.stage != OVER or accepts or one in state.chosen or _is_met(run, state, one):
        return this
    pending = any(cell == ASKED for cell in cells)
    return Round(OVER, epoch=this.epoch if pending else 0)


def _is_met(run: Run, state: State, one: int) -> bool:
    """Whether some replica has the value of the round."""
    return any(run.at.accepted(column.replica, run.ballots[one]) for column in state.columns)


def _drop_refused(run: Run, state: State, grid: list[list[int]]) -> None:
    for place, row in enumerate(grid):
        for one, cell in enumerate(row):
            if cell in (ASKED, TO_ACCEPT) and _refuses(run, state, place, one):
                row[one] = NOTHING


def _refuses(run: Run, state: State, place: int, one: int) -> bool:
    """Whether a replica refuses what is under way to it from a round, now and always."""
    this, column = state.rounds[one], state.columns[place]
    if run.cluster.rules.pinned and not run.cluster.may_serve(state, place, this.epoch):
        return True
    if run.purged_at is not None:
        return False
    if column.rounds[one] == ASKED:
        return run.at.prepare(column.replica, run.timestamps[one])[1] is None
    return not run.at.accept(column.replica, run.timestamps[one], this.changed)[1]


def _settled_puts(run: Run, state: State, place: int) -> tuple[int, ...]:
    """Drop the puts that this replica refuses for their epoch, or that change nothing for nobody."""
    cells: list[int] = []
    column = state.columns[place]
    for cell, (number, attempt) in zip(column.puts, run.attempts, strict=True):
        progress, kept = state.operations[number], cell
        if cell == ASKED:
            sent = state.sent[len(cells)]
            waits = progress.stage == WEAK and progress.attempt == attempt
            if not run.cluster.may_serve(state, place, sent):
                kept = NOTHING
            elif not waits and run.purged_at is None:
                version = run.version(number, attempt)
                after, _ = run.at.put(column.replica, version, number + 1, PutKind.WRITE)
                kept = NOTHING if after == column.replica else ASKED
        cells.append(kept)
    return tuple(cells)


def _settled_reads(run: Run, state: State, place: int) -> tuple[int, ...]:
    """The same for write-backs."""
    cells: list[int] = []
    column = state.columns[place]
    for cell, progress in zip(column.reads, state.operations, strict=True):
        kept = cell
        if cell == ASKED:
            if not run.cluster.may_serve(state, place, progress.epoch):
                kept = NOTHING
            elif progress.stage != WRITING_BACK and run.purged_at is None:
                op = run.bases[progress.found] + 1
                after, _ = run.at.put(column.replica, progress.found, op, PutKind.WRITE_BACK)
                kept = NOTHING if after == column.replica else ASKED
        cells.append(kept)
    return tuple(cells)


def _without_hopeless(
    progress: Sequence[Progress],
    rounds: Sequence[Round],
    operations: Sequence[Operation],
    columns: Sequence[Column],
) -> tuple[Progress, ...]:
    """End the operations that have no round under way and may begin none."""
    live = {this.operation for this in rounds if this.stage in (PREPARING, ACCEPTING)}
    settled = []
    for number, one in enumerate(progress):
        tried = one.stage == ROUNDS and one.rounds == operations[number].rounds
        over = one.stage == DONE or (tried and number not in live)
        late = one.found != ABSENT and any(c.reads[number] == ASKED for c in columns)
        found = one.found if late else ABSENT
        settled.append(Progress(DONE, epoch=one.epoch * late, found=found) if over else one)
    return tuple(settled)
