"""Weak writes and rounds on one record: every interleaving of small cases, the product's own rules.

The mutants in tests/mutants/registers.py take one rule away at a time: a model that does not notice
would prove nothing.
"""

from models.register_model import Model
from models.register_world import Operation, Outcome, ballot, put
from spine_core.records.encoding import FLAG_TOMBSTONE
from spine_core.replication.registers.changes import ChangeKind

CHANGE = Operation()
TWICE = Operation(rounds=2)
IDENTITY = Operation(kind=ChangeKind.IDENTITY)
READ = Operation(kind=ChangeKind.IDENTITY, reads=True)
CREATE = Operation(kind=ChangeKind.CREATE)
DELETE = Operation(flags=FLAG_TOMBSTONE)


def explored(model: Model) -> Outcome:
    outcome = model.explore()
    assert outcome.broken is None, (outcome.broken, *outcome.trace)
    return outcome


def test_a_put_that_meets_a_change_is_never_lost_nor_applied_twice() -> None:
    model = Model([put(15), CHANGE], [10, 20], learning=True, lossy=True, anti_entropy=True)
    outcome = explored(model)
    assert outcome.verdicts >= {(0, "acknowledged"), (0, "already"), (0, "applied"), (1, "applied")}
    assert outcome.states > 2_000


def test_a_put_and_two_proposers_agree_on_one_order() -> None:
    outcome = explored(Model([put(15), CHANGE, CHANGE], [10, 20, 30]))
    assert outcome.verdicts >= {(0, "acknowledged"), (1, "applied"), (2, "applied")}


def test_puts_that_take_new_timestamps_are_never_lost() -> None:
    outcome = explored(Model([put(15, 35), put(25), CHANGE], [30]))
    assert outcome.verdicts >= {(0, "acknowledged"), (1, "acknowledged"), (2, "applied")}


def test_changes_that_are_tried_again_take_effect_once() -> None:
    outcome = explored(Model([TWICE, TWICE], [10, 20, 30]))
    assert outcome.verdicts == {(n, verdict) for n in (0, 1) for verdict in ("applied", "already")}


def test_a_change_that_the_value_has_forgotten_is_not_made_again() -> None:
    twice = Operation(rounds=2, same_coordinator=True)
    outcome = explored(Model([twice, twice], [10, 20, 30], kept=1))
    assert (0, "indeterminate") in outcome.verdicts


def test_one_of_two_creates_is_refused_and_never_takes_effect() -> None:
    create = Operation(kind=ChangeKind.CREATE, rounds=2)
    outcome = explored(Model([create, create], [10, 20, 30]))
    assert outcome.verdicts >= {(0, "applied"), (0, "already"), (0, "precondition-failed")}


def test_a_create_that_the_value_has_forgotten_is_not_called_unapplied() -> None:
    create = Operation(kind=ChangeKind.CREATE, rounds=2)
    outcome = explored(Model([create, CHANGE], [10, 20, 30], kept=1))
    assert (0, "precondition-failed") in outcome.verdicts


def test_one_of_two_changes_of_the_same_version_is_refused() -> None:
    matching = Operation(if_match=ballot(15))
    outcome = explored(Model([put(15), matching, matching], [20, 30]))
    assert outcome.verdicts >= {(1, "applied"), (1, "precondition-failed")}


def test_reads_agree_with_changes_whether_or_not_they_need_a_round() -> None:
    outcome = explored(Model([TWICE, IDENTITY], [10, 20, 30], learning=True))
    assert outcome.verdicts >= {(0, "applied"), (0, "already"), (1, "unchanged")}


def test_what_a_slower_replica_has_not_purged_does_not_come_back() -> None:
    outcome = explored(Model([put(25), CHANGE], [10, 30], purged_at=20))
    assert outcome.verdicts >= {(0, "acknowledged"), (0, "already"), (1, "applied")}


def test_rounds_from_before_a_purge_change_nothing_after_it() -> None:
    outcome = explored(Model([DELETE, CHANGE], [10, 30, 40], purged_at=20))
    assert outcome.verdicts >= {(0, "applied"), (1, "applied")}


def test_a_late_put_never_brings_back_what_was_purged() -> None:
    outcome = explored(Model([put(15), CHANGE], [30], purged_at=20))
    assert outcome.verdicts == {(0, "applied"), (1, "applied")}


def test_what_a_quorum_read_shows_beside_a_put_and_a_change_is_never_lost() -> None:
    outcome = explored(Model([put(15), CHANGE, READ], [10, 20], anti_entropy=True))
    shown = {(2, verdict) for verdict in ("found weak", "found strong", "unchanged")}
    assert outcome.verdicts >= {(0, "acknowledged"), (0, "applied"), (1, "applied")} | shown


def test_a_quorum_read_shows_no_change_that_is_lost() -> None:
    outcome = explored(Model([TWICE, READ], [10, 20, 30], learning=True))
    assert outcome.verdicts >= {(0, "already"), (1, "found strong"), (1, "unchanged")}


def test_what_a_quorum_read_shows_beside_puts_is_never_lost() -> None:
    outcome = explored(Model([put(15, 35), put(25), READ], [40], anti_entropy=True))
    assert outcome.verdicts >= {(0, "acknowledged"), (1, "acknowledged"), (2, "found weak")}
