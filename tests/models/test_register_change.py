"""A record that is written weakly and by rounds while its slot moves: small cases, the product's rules.

An operation that begins in a fixed epoch makes a run small enough to be made each time; those without
were made once (docs/design/protocol.md §21). The mutants in tests/mutants/registers.py take one rule of
the product away at a time, the second half here those that the model holds in its own hands.
"""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from models.epoch_model import join
from models.register_cluster import Cluster, Rules
from models.register_model import Model
from models.register_world import Operation, Outcome, put
from models.test_epoch import (
    START,
    any_one_source,
    committed,
    never_refuse,
    no_barrier,
    old_barrier_in,
    reverted,
    reverted_from_switch,
)
from spine_core.replication.registers.changes import ChangeKind
from spine_core.topology.document import Document

STABLE, PREPARE, SWITCH, MOVED = range(4)
BACK, RETURNED = 3, 4  # of a change that is taken back from switch

JOIN = committed(START, join())
ABORT = reverted(START, join())
REVERT = reverted_from_switch(START, join())

CHANGE = Operation()
READ = Operation(kind=ChangeKind.IDENTITY, reads=True)
PUT = put(15)


def at(operation: Operation, *epochs: int) -> Operation:
    return replace(operation, epochs=epochs)


def explored(
    cluster: Cluster, operations: Sequence[Operation], ballots: Sequence[int] = (10, 20)
) -> Outcome:
    outcome = Model(operations, ballots, cluster).explore()
    assert outcome.broken is None, (outcome.broken, *outcome.trace)
    return outcome


def broken(
    cluster: Cluster, operations: Sequence[Operation], ballots: Sequence[int] = (10, 20)
) -> bool:
    return Model(operations, ballots, cluster).explore().broken is not None


# Whether the displaced store is the source, or out of the joiner's reach.
MOVES = [
    pytest.param(Cluster(JOIN), id="displaced store is the source"),
    pytest.param(Cluster(JOIN, unreachable=True), id="others are the sources"),
]


@pytest.mark.parametrize("cluster", MOVES)
def test_a_put_and_a_read_in_any_epoch_lose_nothing(cluster: Cluster) -> None:
    outcome = explored(cluster, [PUT, READ], [10])
    assert outcome.verdicts == {(0, "acknowledged"), (1, "found weak")}


@pytest.mark.parametrize("cluster", MOVES)
def test_a_change_before_the_move_and_one_after_it_agree(cluster: Cluster) -> None:
    outcome = explored(cluster, [at(CHANGE, STABLE), at(CHANGE, MOVED)])
    assert outcome.verdicts == {(0, "applied"), (1, "applied")}


def test_changes_in_adjacent_epochs_agree() -> None:
    explored(Cluster(JOIN), [at(CHANGE, STABLE, PREPARE), at(CHANGE, PREPARE, SWITCH)])


@pytest.mark.parametrize("cluster", MOVES)
@pytest.mark.parametrize(
    ("putting", "changing"), [(STABLE, PREPARE), (PREPARE, SWITCH), (MOVED, STABLE)]
)
def test_a_put_and_a_change_of_two_epochs_agree(
    cluster: Cluster, putting: int, changing: int
) -> None:
    outcome = explored(cluster, [at(PUT, putting), at(CHANGE, changing)])
    assert outcome.verdicts >= {(0, "acknowledged"), (1, "applied")}


def test_a_read_after_the_move_shows_no_weak_record_that_a_round_has_missed() -> None:
    operations = [at(PUT, STABLE), at(CHANGE, PREPARE), at(READ, MOVED)]
    outcome = explored(Cluster(JOIN, unreachable=True), operations, [20])
    assert outcome.verdicts >= {(2, "found weak"), (2, "found strong")}


def test_a_read_after_the_move_shows_no_change_that_a_round_has_missed() -> None:
    operations = [at(CHANGE, STABLE), at(CHANGE, PREPARE), at(READ, MOVED)]
    outcome = explored(Cluster(JOIN, unreachable=True), operations)
    assert outcome.verdicts >= {(2, "found weak"), (2, "found strong"), (2, "unchanged")}


def test_a_change_that_is_taken_back_loses_nothing() -> None:
    explored(Cluster(ABORT), [PUT, READ], [10])
    explored(Cluster(ABORT), [at(CHANGE, STABLE), CHANGE])
    explored(Cluster(REVERT), [PUT, READ], [10])
    explored(Cluster(REVERT), [at(CHANGE, STABLE, PREPARE), at(CHANGE, SWITCH)])


# Rules taken away


@pytest.mark.parametrize(
    ("rules", "operations"),
    [
        pytest.param(
            Rules(sources_of=any_one_source),
            [at(CHANGE, STABLE), at(CHANGE, MOVED)],
            id="pulled from any one store",
        ),
        pytest.param(
            Rules(judge_epoch=never_refuse),
            [at(CHANGE, STABLE), at(CHANGE, SWITCH)],
            id="no epoch is refused",
        ),
        pytest.param(Rules(pinned=False), [CHANGE, CHANGE], id="rounds go on in the next epoch"),
        pytest.param(Rules(slots_without_barrier=no_barrier), [PUT, READ], id="no barriers"),
    ],
)
def test_the_model_notices_a_missing_rule(rules: Rules, operations: Sequence[Operation]) -> None:
    assert broken(Cluster(JOIN, rules), operations)


# The way back asks for the barrier of the new stores too. Would that of the old ones do?


def old_barrier(chain: Sequence[Document], epoch: int) -> Rules:
    rule = old_barrier_in(chain[epoch].epoch)
    return Rules(slots_without_barrier=rule.slots_without_barrier)


def test_before_a_switch_the_barrier_of_the_old_stores_would_do_for_the_way_back() -> None:
    cluster = Cluster(ABORT, old_barrier(ABORT, PREPARE))
    explored(cluster, [PUT, READ], [10])
    explored(cluster, [at(CHANGE, STABLE), CHANGE])
    explored(cluster, [at(PUT, PREPARE), CHANGE], [20])
    explored(cluster, [at(CHANGE, STABLE, PREPARE), at(READ, 2)])


def test_after_a_switch_the_way_back_needs_the_barrier_of_the_new_stores_too() -> None:
    cluster = Cluster(REVERT, old_barrier(REVERT, BACK))
    assert broken(cluster, [at(CHANGE, RETURNED), at(READ, SWITCH)], [10])
