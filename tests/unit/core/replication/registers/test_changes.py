"""The changes of a register: what each does, when it is refused, and when it was made already."""

import pytest

from models.register_world import ORIGIN, ballot
from spine_core.records.encoding import FLAG_TOMBSTONE, Record
from spine_core.records.versions import ABSENT, etag_of, hlc_from_ms, make_version
from spine_core.replication.registers.changes import (
    Basis,
    ChangeKind,
    ChangeVerdict,
    Make,
    NewValue,
    Refusal,
    RegisterChange,
    apply_change,
)
from spine_core.replication.registers.state import (
    CHANGES_KEPT,
    NO_BALLOT,
    LeaseGuard,
    RegisterValue,
    grown_from,
    version_of,
)
from spine_core.scalars import Hlc

NOTHING = grown_from(None)
BASE = Record(make_version(Hlc(5), ORIGIN), 55, b"base")
GROWN = grown_from(BASE)


def always(body: bytes, flags: int = 0) -> Make:
    return lambda _basis: NewValue(body, flags=flags)


def until_9(basis: Basis) -> NewValue:
    """Keep the content, and end it at 9 ms."""
    assert basis.live is not None
    return NewValue(basis.live.body, expires_ms=9)


PUT = RegisterChange(kind=ChangeKind.WRITE, op=1, make=always(b"new"))
DELETE = RegisterChange(kind=ChangeKind.WRITE, op=2, make=always(b"", FLAG_TOMBSTONE))
CREATE = RegisterChange(kind=ChangeKind.CREATE, op=3, make=always(b"new"))
TOUCH = RegisterChange(kind=ChangeKind.UPDATE, op=4, make=until_9)
REPLACE = RegisterChange(kind=ChangeKind.REPLACE, op=5, make=always(b"new"))
NO_CHANGE = RegisterChange(kind=ChangeKind.WRITE, op=6)
READ = RegisterChange(kind=ChangeKind.IDENTITY)


def changed_by(*ops: int, kept: int = CHANGES_KEPT) -> RegisterValue:
    """Return the value after a put of each operation, in rounds 100, 101, ..."""
    value = GROWN
    for at, op in enumerate(ops, start=100):
        change = RegisterChange(kind=ChangeKind.WRITE, op=op, make=always(b""))
        value = apply_change(change, value, ballot(at), first=None, kept=kept).value
    return value


def if_match(hlc: int, op: int = 1) -> RegisterChange:
    return RegisterChange(kind=ChangeKind.WRITE, op=op, make=always(b"new"), if_match=ballot(hlc))


def test_the_upgrade_keeps_the_etag() -> None:
    assert etag_of(GROWN.record.version) == etag_of(BASE.version)
    assert GROWN.record.version > BASE.version
    assert (GROWN.base, GROWN.base_op) == (BASE.version, BASE.op)


@pytest.mark.parametrize(
    ("change", "current", "verdict"),
    [
        (PUT, NOTHING, ChangeVerdict.APPLIED),
        (PUT, GROWN, ChangeVerdict.APPLIED),
        (DELETE, GROWN, ChangeVerdict.APPLIED),
        (CREATE, NOTHING, ChangeVerdict.APPLIED),
        (CREATE, GROWN, ChangeVerdict.PRECONDITION_FAILED),
        (TOUCH, GROWN, ChangeVerdict.APPLIED),
        (TOUCH, NOTHING, ChangeVerdict.NOT_FOUND),
        (REPLACE, GROWN, ChangeVerdict.APPLIED),
        (REPLACE, NOTHING, ChangeVerdict.PRECONDITION_FAILED),
        (NO_CHANGE, GROWN, ChangeVerdict.UNCHANGED),
        (READ, GROWN, ChangeVerdict.UNCHANGED),
        (READ, NOTHING, ChangeVerdict.UNCHANGED),
    ],
)
def test_a_change_applies_or_leaves_everything_alone(
    change: RegisterChange, current: RegisterValue, verdict: ChangeVerdict
) -> None:
    changed = apply_change(change, current, ballot(10), first=None)
    assert changed.verdict is verdict
    if verdict is not ChangeVerdict.APPLIED:
        assert changed.value == current
        return
    assert changed.version == changed.value.record.version == version_of(ballot(10))
    assert changed.value.changes == ((change.op, ballot(10)),)
    assert (changed.value.base, changed.value.base_op) == (current.base, current.base_op)


def test_what_has_expired_by_the_ballot_is_absent() -> None:
    expiring = grown_from(BASE._replace(expires_ms=2))
    before, after = ballot(hlc_from_ms(1)), ballot(hlc_from_ms(2))
    assert apply_change(TOUCH, expiring, before, first=None).verdict is ChangeVerdict.APPLIED
    assert apply_change(TOUCH, expiring, after, first=None).verdict is ChangeVerdict.NOT_FOUND


def test_a_touch_changes_the_expiry_only() -> None:
    record = apply_change(TOUCH, GROWN, ballot(10), first=None).value.record
    assert record == Record(version_of(ballot(10)), TOUCH.op, BASE.body, expires_ms=9)


@pytest.mark.parametrize(("hlc", "applies"), [(4, False), (5, True), (6, False)])
def test_a_condition_holds_for_exactly_its_version(hlc: int, applies: bool) -> None:
    verdict = apply_change(if_match(hlc), GROWN, ballot(10), first=None).verdict
    assert verdict is (ChangeVerdict.APPLIED if applies else ChangeVerdict.PRECONDITION_FAILED)


def test_no_condition_holds_for_what_is_absent() -> None:
    deleted = apply_change(DELETE, GROWN, ballot(10), first=None).value
    verdict = apply_change(if_match(10), deleted, ballot(11), first=None).verdict
    assert verdict is ChangeVerdict.PRECONDITION_FAILED


# Idempotency, by the cases of protocol.md §7.6


def test_case_1_a_change_that_is_remembered_is_not_made_again() -> None:
    current = changed_by(1, 8)
    changed = apply_change(PUT, current, ballot(200), first=None)
    assert changed[:4] == (current, ChangeVerdict.ALREADY, version_of(ballot(100)), False)


def test_case_1_a_put_that_became_the_base_is_not_made_again() -> None:
    again = RegisterChange(kind=ChangeKind.WRITE, op=BASE.op, make=always(b""))
    changed = apply_change(again, changed_by(1), ballot(200), first=None)
    assert changed[:4] == (changed_by(1), ChangeVerdict.ALREADY, BASE.version, False)


def test_case_2_a_condition_no_older_than_what_is_forgotten_is_judged() -> None:
    current = changed_by(8, 9, kept=1)
    assert current.forgotten == ballot(100)
    for hlc, verdict in (
        (100, ChangeVerdict.PRECONDITION_FAILED),
        (101, ChangeVerdict.APPLIED),
    ):
        changed = apply_change(if_match(hlc), current, ballot(200), first=None)
        assert (changed.verdict, changed.may_have_applied) == (verdict, False)


def test_case_3_a_condition_older_than_what_is_forgotten_leaves_the_outcome_open() -> None:
    current = changed_by(8, 9, kept=1)
    changed = apply_change(if_match(99), current, ballot(200), first=None)
    assert changed[:4] == (current, ChangeVerdict.PRECONDITION_FAILED, ABSENT, True)


@pytest.mark.parametrize("kept", [1, CHANGES_KEPT])
def test_a_refused_create_is_unapplied_for_sure_while_nothing_is_forgotten(kept: int) -> None:
    changed = apply_change(CREATE, changed_by(8, 9, kept=kept), ballot(200), first=None)
    assert changed.verdict is ChangeVerdict.PRECONDITION_FAILED
    assert changed.may_have_applied is (kept == 1)


@pytest.mark.parametrize("change", [PUT, CREATE, TOUCH, DELETE])
def test_case_4_a_later_round_stops_when_the_first_may_be_forgotten(change: RegisterChange) -> None:
    current = changed_by(8, 9, kept=1)
    changed = apply_change(change, current, ballot(200), first=ballot(100))
    assert changed[:4] == (current, ChangeVerdict.INDETERMINATE, ABSENT, True)


def test_case_4_a_later_round_goes_on_when_nothing_since_is_forgotten() -> None:
    current = changed_by(8, 9, kept=1)
    changed = apply_change(PUT, current, ballot(200), first=ballot(101))
    assert changed.verdict is ChangeVerdict.APPLIED


def test_case_5_a_first_round_applies_whatever_is_forgotten() -> None:
    current = changed_by(8, 9, kept=1)
    assert apply_change(PUT, current, ballot(200), first=None).verdict is ChangeVerdict.APPLIED


def test_eight_changes_are_remembered_and_the_ninth_forgets_the_first() -> None:
    eight = changed_by(*range(1, 9))
    assert (len(eight.changes), eight.forgotten) == (8, NO_BALLOT)
    nine = changed_by(*range(1, 10))
    assert ([op for op, _ in nine.changes], nine.forgotten) == ([*range(2, 10)], ballot(100))


# Fences: a record remembers the lease that guards it, and the highest fence that has touched it


def fenced(lease: str, fence: int, *, op: int = 7, unguard: bool = False) -> RegisterChange:
    return RegisterChange(
        kind=ChangeKind.WRITE,
        op=op,
        make=always(b"new"),
        fence=LeaseGuard(lease, fence),
        unguard=unguard,
    )


GUARDED = apply_change(fenced("deploy", 42, op=70), GROWN, ballot(10), first=None).value


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        (fenced("deploy", 41), ChangeVerdict.FENCE_STALE),
        (fenced("deploy", 43), ChangeVerdict.APPLIED),
        (fenced("other", 43), ChangeVerdict.GUARD_CONFLICT),
        (PUT, ChangeVerdict.FENCE_REQUIRED),
        (DELETE, ChangeVerdict.FENCE_REQUIRED),
        (READ, ChangeVerdict.UNCHANGED),
    ],
)
def test_a_guarded_record_takes_no_write_of_a_lower_fence_nor_one_without(
    change: RegisterChange, verdict: ChangeVerdict
) -> None:
    assert GUARDED.guard == LeaseGuard("deploy", 42)
    changed = apply_change(change, GUARDED, ballot(11), first=None)
    assert changed.verdict is verdict
    if verdict is not ChangeVerdict.APPLIED:
        assert changed.value == GUARDED


def test_a_guard_only_rises_and_outlives_a_deletion() -> None:
    delete = RegisterChange(
        kind=ChangeKind.WRITE,
        op=43,
        make=always(b"", FLAG_TOMBSTONE),
        fence=LeaseGuard("deploy", 43),
    )
    deleted = apply_change(delete, GUARDED, ballot(11), first=None).value
    assert deleted.guard == LeaseGuard("deploy", 43)
    late = apply_change(fenced("deploy", 42, op=8), deleted, ballot(12), first=None)
    assert late.verdict is ChangeVerdict.FENCE_STALE
    assert (
        apply_change(PUT, deleted, ballot(12), first=None).verdict is ChangeVerdict.FENCE_REQUIRED
    )


def test_the_holder_may_take_the_guard_away() -> None:
    freed = apply_change(fenced("deploy", 43, unguard=True), GUARDED, ballot(11), first=None).value
    assert freed.guard is None
    assert apply_change(PUT, freed, ballot(12), first=None).verdict is ChangeVerdict.APPLIED


def test_what_a_change_is_made_from_names_its_guard() -> None:
    seen: list[Basis] = []

    def make(basis: Basis) -> NewValue:
        seen.append(basis)
        return NewValue(b"")

    change = RegisterChange(kind=ChangeKind.WRITE, op=7, make=make, fence=LeaseGuard("deploy", 7))
    apply_change(change, NOTHING, ballot(hlc_from_ms(3)), first=None)
    assert seen == [Basis(None, NOTHING.record, 3, LeaseGuard("deploy", 7))]


def test_a_change_may_refuse_what_it_finds_and_leaves_it_alone() -> None:
    change = RegisterChange(kind=ChangeKind.WRITE, op=7, make=lambda _basis: Refusal("held"))
    changed = apply_change(change, GROWN, ballot(10), first=None)
    assert (changed.value, changed.verdict, changed.reason) == (
        GROWN,
        ChangeVerdict.REFUSED,
        "held",
    )
