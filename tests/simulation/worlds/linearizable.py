"""Whether the operations on one register can have happened one after the other (Wing, Gong and Lowe).

Every effective write has a version of its own, so a state is a version. The search keeps what it has
tried, and answers "unknown" where it takes too many steps.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

STEPS_MAX = 200_000
UNKNOWN = None  # the state before the first operation that shows one


class Operation(NamedTuple):
    """One operation: from `before` to `after`; None asks for nothing, or leaves what is there."""

    began_s: float
    ended_s: float  # infinite: it may take effect at any later time, or never
    before: frozenset[bytes] | None
    after: bytes | None
    live: bool | None = None  # whether it asks for something to be there
    name: str = ""


def is_linearizable(operations: Sequence[Operation], dead: frozenset[bytes]) -> bool | None:
    """Search an order that explains all; None: it would take too many steps.

    `dead` are the states in which nothing is there. The first operation finds any state.
    """
    must = sum(1 << at for at, one in enumerate(operations) if one.ended_s < math.inf)
    ordered = sorted(range(len(operations)), key=lambda at: operations[at].began_s)
    tried: set[tuple[int, bytes | None]] = set()
    waiting: list[tuple[int, bytes | None]] = [(0, UNKNOWN)]
    steps = 0
    while waiting:
        done, state = waiting.pop()
        if done & must == must:
            return True
        if (done, state) in tried:
            continue
        tried.add((done, state))
        for at in _next_ones(operations, ordered, done):
            one = operations[at]
            if not _fits(one, state, dead):
                continue
            steps += 1
            if steps > STEPS_MAX:
                return None
            waiting.append((done | 1 << at, _next(one, state)))
    return False


def _next_ones(operations: Sequence[Operation], ordered: list[int], done: int) -> list[int]:
    """Return what can come next: what began before any other that is left had ended."""
    until_s, left = math.inf, []
    for at in ordered:
        if operations[at].began_s > until_s:
            break
        if not done >> at & 1:
            left.append(at)
            until_s = min(until_s, operations[at].ended_s)
    return [at for at in left if operations[at].began_s <= until_s]


def _fits(one: Operation, state: bytes | None, dead: frozenset[bytes]) -> bool:
    if state is UNKNOWN:
        return True
    if one.live is not None and (state not in dead) is not one.live:
        return False
    return one.before is None or state in one.before


def _next(one: Operation, state: bytes | None) -> bytes | None:
    if one.after is not None:
        return one.after
    if state is UNKNOWN and one.before is not None and len(one.before) == 1:
        return next(iter(one.before))
    return state
