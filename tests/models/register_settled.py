"""Fewer states with the same fates: forget what can have no effect any more, and sort the replicas."""

from collections.abc import Sequence

from models.register_replicas import Replicas
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
    Column,
    Operation,
    Progress,
    Round,
    State,
    ballot,
)

QUORUM = 2
_IS_ACCEPT = frozenset({TO_ACCEPT, HAS_ACCEPTED}).__contains__


def settle(
    state: State,
    replicas: Replicas,
    operations: Sequence[Operation],
    ballots: Sequence[int],
    *,
    purging: bool,
) -> State:
    """Return the state in its one shape; a purge might make room for messages refused today."""
    grid = [list(column.rounds) for column in state.columns]
    if not purging:
        for column, row in zip(state.columns, grid, strict=True):
            _drop_refused(state, column, row, replicas, ballots)
    rounds = [
        this
        if this.stage == UNUSED
        else _settled_round(state, one, grid, met=_is_met(state, one, replicas, ballots))
        for one, this in enumerate(state.rounds)
    ]
    columns = sorted(
        Column(column.replica, tuple(row), column.puts)
        for column, row in zip(state.columns, grid, strict=True)
    )
    return state._replace(
        columns=tuple(columns),
        rounds=tuple(rounds),
        operations=_without_hopeless(state.operations, rounds, operations),
    )


def _settled_round(state: State, one: int, grid: list[list[int]], *, met: bool) -> Round:
    """End a round that can reach no quorum any more; `met`: some replica has its value."""
    this, cells = state.rounds[one], [row[one] for row in grid]
    accepts = sum(map(_IS_ACCEPT, cells))
    if this.stage == PREPARING:
        dead = sum(cell == ASKED or cell >= ANSWERED for cell in cells) < QUORUM
    else:
        dead = one in state.chosen or accepts < QUORUM
    if dead:
        this = this._replace(stage=OVER)
        for row in grid:
            if row[one] not in (ASKED, TO_ACCEPT):
                row[one] = NOTHING
    forgotten = this.stage == OVER and not (met or accepts or one in state.chosen)
    return Round(OVER) if forgotten else this


def _is_met(state: State, one: int, replicas: Replicas, ballots: Sequence[int]) -> bool:
    return any(replicas.accepted(column.replica, ballots[one]) for column in state.columns)


def _drop_refused(
    state: State, column: Column, row: list[int], replicas: Replicas, ballots: Sequence[int]
) -> None:
    for one, cell in enumerate(row):
        this = ballot(ballots[one])
        if cell == ASKED and replicas.prepare(column.replica, this)[1] is None:
            row[one] = NOTHING
        elif cell == TO_ACCEPT:
            proposal = state.rounds[one].changed
            if not replicas.accept(column.replica, this, proposal)[1]:
                row[one] = NOTHING


def _without_hopeless(
    progress: Sequence[Progress], rounds: Sequence[Round], operations: Sequence[Operation]
) -> tuple[Progress, ...]:
    """End the operations that have no round under way and may begin none."""
    live = {this.operation for this in rounds if this.stage in (PREPARING, ACCEPTING)}
    return tuple(
        Progress(DONE)
        if one.stage == ROUNDS and one.rounds == operations[number].rounds and number not in live
        else one
        for number, one in enumerate(progress)
    )
