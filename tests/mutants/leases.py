"""Mutants of leases: fences that grow, and a lease that is nobody's before it is free."""

from mutants.mutant import Mutant

TESTS = "tests/unit/core/test_leases.py"
MODEL = "tests/models/test_lease.py"


def _lease(within: str, old: str, new: str, killed_by: str) -> Mutant:
    return Mutant(
        file="node_image/spine_core/leases.py",
        within=within,
        old=old,
        new=new,
        killed_by=f"{TESTS}::{killed_by}",
    )


MUTANTS = [
    # Each grant has a fence of its own …
    _lease(
        "acquire",
        "current.fence + 1,",
        "current.fence,",
        "test_each_grant_has_a_higher_fence_whatever_the_clocks_say",
    ),
    # … which a release does not forget.
    _lease(
        "release",
        "Lease(NOBODY, fence, 0)",
        "Lease(NOBODY, 0, 0)",
        "test_a_lease_given_back_is_free_at_once_and_its_fence_is_not_forgotten",
    ),
    # Nobody is granted what somebody has, on a clock that is ahead either.
    _lease(
        "is_free",
        "current.expires_ms + MAX_DRIFT_MS",
        "current.expires_ms",
        "test_a_lease_is_held_until_it_has_run_out_on_every_clock",
    ),
    _lease(
        "acquire",
        "if not is_free(current, now_ms):",
        "if current and current.holder != holder and not is_free(current, now_ms):",
        "test_a_live_lease_is_held_against_its_own_holder_too",
    ),
    # Who has lost a lease neither renews it nor gives it back.
    _lease(
        "_is_of",
        "(current.holder, current.fence) == (holder, fence)",
        "current.holder == holder",
        "test_only_the_newest_grant_is_renewed_or_given_back[of a newer grant]",
    ),
    _lease(
        "_is_of",
        "(current.holder, current.fence) == (holder, fence)",
        "current.fence == fence",
        "test_only_the_newest_grant_is_renewed_or_given_back[of another holder]",
    ),
    # A write begins under the newest grant alone, while that runs.
    _lease(
        "admits",
        "fence == current.fence and",
        "fence <= current.fence and",
        "test_a_write_begins_only_under_the_newest_grant_while_it_runs[an older grant]",
    ),
    _lease(
        "admits",
        " and now_ms <= current.expires_ms",
        "",
        "test_a_write_begins_only_under_the_newest_grant_while_it_runs[run out]",
    ),
    # After a fenced write no lower fence, and none, is ever applied: whatever lease and clocks do.
    *(
        Mutant(
            file="node_image/spine_core/replication/registers/changes.py",
            old=old,
            new=new,
            killed_by=f"{MODEL}::{killed_by}",
        )
        for old, new, killed_by in [
            (
                "change.fence.fence < guard.fence",
                "False",
                "test_no_write_follows_one_of_a_higher_fence",
            ),
            (
                "change.fence.fence < guard.fence",
                "change.fence.fence < guard.fence and bool(change.op % 2)",
                "test_a_record_stamped_at_acquire_takes_no_late_write_of_the_old_holder",
            ),
            (
                "return None if change.unguard else ChangeVerdict.FENCE_REQUIRED",
                "return None",
                "test_no_write_follows_one_of_a_higher_fence",
            ),
            (
                "None if change.unguard else change.fence",
                "None if change.unguard else current.guard",
                "test_no_write_follows_one_of_a_higher_fence",
            ),
        ]
    ),
    Mutant(
        file="node_image/spine_core/leases.py",
        within="release",
        old="Lease(NOBODY, fence, 0)",
        new="Lease(NOBODY, fence - 1, 0)",
        killed_by=f"{MODEL}::test_no_write_follows_one_of_a_higher_fence",
    ),
]
