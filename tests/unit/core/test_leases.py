"""A lease passes on when it is free, each time under a higher fence."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spine_core.leases import (
    NOBODY,
    Held,
    Lease,
    Lost,
    acquire,
    admits,
    is_free,
    release,
    renew,
)
from spine_core.records.hlc import MAX_DRIFT_MS

NOW, TTL = 1_000_000, 30_000
GRANTED = Lease("alice", 1, NOW + TTL)
EXPIRED = NOW + TTL + MAX_DRIFT_MS  # the last moment at which it is not free


def test_the_first_grant_has_fence_one() -> None:
    assert acquire(None, "alice", TTL, NOW) == GRANTED


def test_a_lease_is_held_until_it_has_run_out_on_every_clock() -> None:
    assert acquire(GRANTED, "bob", TTL, NOW) == Held("alice", TTL + MAX_DRIFT_MS + 1)
    assert acquire(GRANTED, "bob", TTL, EXPIRED) == Held("alice", 1)
    assert acquire(GRANTED, "bob", TTL, EXPIRED + 1) == Lease("bob", 2, EXPIRED + 1 + TTL)


def test_the_time_left_is_the_time_to_wait() -> None:
    held = acquire(GRANTED, "bob", TTL, NOW + 7)
    assert isinstance(held, Held)
    assert is_free(GRANTED, NOW + 7 + held.left_ms)
    assert not is_free(GRANTED, NOW + 7 + held.left_ms - 1)


def test_a_live_lease_is_held_against_its_own_holder_too() -> None:
    assert isinstance(acquire(GRANTED, "alice", TTL, NOW + 1), Held)
    assert acquire(GRANTED, "alice", TTL, EXPIRED + 1) == Lease("alice", 2, EXPIRED + 1 + TTL)


def test_a_renewed_lease_keeps_its_fence() -> None:
    assert renew(GRANTED, "alice", 1, TTL, NOW + 5) == Lease("alice", 1, NOW + 5 + TTL)


def test_a_lease_that_has_run_out_is_renewed_while_nobody_has_taken_it() -> None:
    late = EXPIRED + 50_000
    assert renew(GRANTED, "alice", 1, TTL, late) == Lease("alice", 1, late + TTL)


@pytest.mark.parametrize(
    ("current", "holder", "fence"),
    [
        (None, "alice", 1),
        (Lease("bob", 1, NOW + TTL), "alice", 1),
        (Lease("alice", 2, NOW + TTL), "alice", 1),
        (Lease("alice", 1, NOW + TTL), "alice", 2),
        (Lease(NOBODY, 1, 0), "alice", 1),
    ],
    ids=["never taken", "of another holder", "of a newer grant", "never granted", "given back"],
)
def test_only_the_newest_grant_is_renewed_or_given_back(
    current: Lease | None, holder: str, fence: int
) -> None:
    assert renew(current, holder, fence, TTL, NOW) == Lost()
    assert release(current, holder, fence) == Lost()


def test_a_lease_given_back_is_free_at_once_and_its_fence_is_not_forgotten() -> None:
    released = release(GRANTED, "alice", 1)
    assert isinstance(released, Lease)
    assert acquire(released, "bob", TTL, 0) == Lease("bob", 2, TTL)


@pytest.mark.parametrize(
    ("current", "fence", "now_ms", "admitted"),
    [
        (GRANTED, 1, NOW + TTL, True),
        (GRANTED, 1, NOW + TTL + 1, False),
        (Lease("bob", 2, NOW + TTL), 1, NOW, False),
        (GRANTED, 2, NOW, False),
        (Lease(NOBODY, 1, NOW + TTL), 1, NOW, False),
        (None, 1, NOW, False),
    ],
    ids=["in its last moment", "run out", "an older grant", "never granted", "given back", "none"],
)
def test_a_write_begins_only_under_the_newest_grant_while_it_runs(
    current: Lease | None, fence: int, now_ms: int, admitted: bool
) -> None:
    assert admits(current, fence, now_ms) is admitted


HOLDERS = st.sampled_from(["alice", "bob"])
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["acquire", "renew", "release"]),
        HOLDERS,
        st.integers(1, 4),
        st.integers(0, 100_000),
    )
)


@given(STEPS)
def test_each_grant_has_a_higher_fence_whatever_the_clocks_say(
    steps: list[tuple[str, str, int, int]],
) -> None:
    current: Lease | None = None
    fences = [0]
    for what, holder, fence, now_ms in steps:
        if what == "acquire":
            after: Lease | Held | Lost = acquire(current, holder, 1000, now_ms)
        elif what == "renew":
            after = renew(current, holder, fence, 1000, now_ms)
        else:
            after = release(current, holder, fence)
        if not isinstance(after, Lease):
            continue
        if what == "acquire":
            fences.append(after.fence)
        current = after
        assert current.fence == fences[-1], "only a grant makes a fence"
    assert fences == list(range(len(fences)))
