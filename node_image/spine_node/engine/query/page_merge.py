"""From the pages of several stores to one page of candidates, in the order of the list. Pure.

Every page is complete up to its end, so all of them together are up to the first end: the
*frontier*. Nothing behind it can be decided yet.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from spine_core.records.encoding import version_in
from spine_core.scalars import StoreNumber
from spine_node.ports import ListOrder
from spine_node.search.messages import (
    DAMAGED,
    Candidate,
    Position,
    QueryPage,
    address_of,
    comes_before,
)


@dataclass(frozen=True, slots=True)
class StoreAnswer:
    """What one store answered for the slots (bitmap) it was asked for."""

    store: StoreNumber
    slots: int
    page: QueryPage


@dataclass(frozen=True, slots=True)
class Merged:
    """One record as some stores returned it."""

    namespace: str
    memory_id: str
    candidate: Candidate  # the newest version returned
    agreed: bool  # every store asked for its slot returned this very version, undamaged


def frontier_of(answers: Sequence[StoreAnswer], order: ListOrder) -> Position | None:
    """Return the position up to which all answers are complete, None for the end of the list."""
    ends = [answer.page.end for answer in answers if answer.page.end is not None]
    first = max if order == "-created_at" else min
    return first(ends, default=None)


def merged(answers: Sequence[StoreAnswer], order: ListOrder) -> list[Merged]:
    """Return every record that was returned up to the frontier, each once, in no order."""
    frontier = frontier_of(answers, order)
    found: dict[tuple[str, str], list[Candidate]] = {}
    for answer in answers:
        for candidate in answer.page.candidates:
            if frontier is None or not comes_before(order, frontier, candidate.position):
                found.setdefault(address_of(order, candidate.position), []).append(candidate)
    return [_merge(address, copies, answers) for address, copies in found.items()]


def _merge(
    address: tuple[str, str], copies: Sequence[Candidate], answers: Sequence[StoreAnswer]
) -> Merged:
    newest = max(copies, key=lambda copy: version_in(copy.raw))
    asked = sum(answer.slots >> newest.slot & 1 for answer in answers)
    versions = {version_in(copy.raw) for copy in copies}
    agreed = len(copies) == asked and len(versions) == 1 and newest.raw != DAMAGED
    return Merged(*address, newest, agreed=agreed)


def unknown_needs(answers: Sequence[StoreAnswer]) -> frozenset[int]:
    """Return the key hashes of own writes that no answer shows."""
    return frozenset.intersection(*(frozenset(answer.page.unknown) for answer in answers))
