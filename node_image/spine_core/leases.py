"""Who holds a lease, and the fence that each grant gives its holder. Pure functions of the time.

A lease that has run out is advice to others that it may be taken, and clocks decide no more than that.
What protects is the fence: it grows with each grant, whoever takes it, and never falls. So the record
of a lease stays after release and expiry, and must not expire itself: without it the fences would
begin again. Source: Kleppmann, "How to do distributed locking", 2016.
"""

from typing import NamedTuple

from spine_core.records.hlc import MAX_DRIFT_MS

NOBODY = ""  # the holder of a lease that was given back


class Lease(NamedTuple):
    """One grant, as the lease's record keeps it."""

    holder: str
    fence: int  # 1 in the first grant
    expires_ms: int


class Held(NamedTuple):
    """Not granted: somebody has the lease."""

    holder: str
    left_ms: int  # before it is free, unless it is renewed


class Lost(NamedTuple):
    """Not renewed, not given back: another grant has followed, or the lease was given back before."""


def is_free(current: Lease | None, now_ms: int) -> bool:
    """Whether anybody may take the lease: a holder with a slow clock gets the drift on top."""
    if current is None or current.holder == NOBODY:
        return True
    return now_ms > current.expires_ms + MAX_DRIFT_MS


def acquire(current: Lease | None, holder: str, ttl_ms: int, now_ms: int) -> Lease | Held:
    """Grant the lease under the next fence if it is free.

    A live lease is held against its own holder too: a name may be that of two processes, and a new
    fence would void the writes of the one that has it. Who has lost the answer to an acquire repeats it
    under the same operation, and who has lost its memory waits, or renews with the fence that the
    lease shows.
    """
    assert holder != NOBODY, "somebody holds a lease"
    if not is_free(current, now_ms):
        assert current is not None, "what nobody ever took is free"
        return Held(current.holder, current.expires_ms + MAX_DRIFT_MS + 1 - now_ms)
    return Lease(holder, 1 if current is None else current.fence + 1, now_ms + ttl_ms)


def renew(current: Lease | None, holder: str, fence: int, ttl_ms: int, now_ms: int) -> Lease | Lost:
    """Let the lease run from now on, under the same fence.

    One that has run out is renewed as long as nobody else has taken it: its fence is the newest.
    """
    if not _is_of(current, holder, fence):
        return Lost()
    return Lease(holder, fence, now_ms + ttl_ms)


def release(current: Lease | None, holder: str, fence: int) -> Lease | Lost:
    """Give the lease back; its fence stays, and the next grant goes on from it."""
    if not _is_of(current, holder, fence):
        return Lost()
    return Lease(NOBODY, fence, 0)


def admits(current: Lease | None, fence: int, now_ms: int) -> bool:
    """Whether a write with this fence may begin: of the newest grant, which has not run out.

    An early refusal and no protection: the lease can pass on before the write is made. That is the
    guard's part, in the record that is written.
    """
    if current is None or current.holder == NOBODY:
        return False
    return fence == current.fence and now_ms <= current.expires_ms


def _is_of(current: Lease | None, holder: str, fence: int) -> bool:
    assert holder != NOBODY, "somebody holds a lease"
    return current is not None and (current.holder, current.fence) == (holder, fence)
