"""From the pages of several stores to one page of candidates, in the order of the list. Pure.

Every page is complete up to its end, so all of them together are up to the first end: the
*frontier*. Nothing behind it can be decided yet.
"""

from collections.abc import Iterable, Mapping, Sequence
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
    slots_of_bytes,
)


@dataclass(frozen=True, slots=True)
class StoreAnswer:
    """What one store answered, and for which slots (bitmaps)."""

    store: StoreNumber
    slots: int  # in which the page misses nothing
    page: QueryPage
    damaged: int = 0  # asked for too, but the store holds a record there that it cannot read

    @staticmethod
    def of(store: StoreNumber, asked: int, page: QueryPage) -> "StoreAnswer":
        """Return the answer for the slots asked for.

        Damage is no absence: for a slot with a record that it cannot read, a store does not answer.
        """
        damaged = slots_of_bytes(page.damaged)
        for candidate in page.candidates:
            if candidate.raw == DAMAGED:
                damaged |= 1 << candidate.slot
        return StoreAnswer(store, asked & ~damaged, page, asked & damaged)


@dataclass(frozen=True, slots=True)
class Merged:
    """One record as some stores returned it."""

    namespace: str
    memory_id: str
    candidate: Candidate  # the newest version returned
    agreed: bool  # every store that answers for its slot returned this very version


def frontier_of(answers: Sequence[StoreAnswer], order: ListOrder) -> Position | None:
    """Return the position up to which all answers are complete, None for the end of the list."""
    ends = [answer.page.end for answer in answers if answer.page.end is not None]
    first = max if order == "-created_at" else min
    return first(ends, default=None)


def merged(answers: Sequence[StoreAnswer], order: ListOrder) -> list[Merged]:
    """Return every record that was returned up to the frontier, each once, in no order."""
    frontier = frontier_of(answers, order)
    found: dict[tuple[str, str], dict[StoreNumber, Candidate]] = {}
    for answer in answers:
        for candidate in answer.page.candidates:
            if candidate.raw == DAMAGED:
                continue
            if frontier is None or not comes_before(order, frontier, candidate.position):
                found.setdefault(address_of(order, candidate.position), {})[answer.store] = (
                    candidate
                )
    return [_merge(address, copies, answers) for address, copies in found.items()]


def _merge(
    address: tuple[str, str],
    copies: Mapping[StoreNumber, Candidate],
    answers: Sequence[StoreAnswer],
) -> Merged:
    newest = max(copies.values(), key=lambda copy: version_in(copy.raw))
    answered = {answer.store for answer in answers if answer.slots >> newest.slot & 1}
    versions = {version_in(copy.raw) for copy in copies.values()}
    agreed = answered <= copies.keys() and len(versions) == 1
    return Merged(*address, newest, agreed=agreed)


def unknown_needs(answers: Sequence[StoreAnswer], needs: Iterable[int]) -> frozenset[int]:
    """Return the key hashes of own writes that no answer shows.

    A key hash does not tell the slot, so what an answer with damaged slots shows may lie in one of
    them, for which it does not answer: it shows nothing.
    """
    unknown = frozenset(needs)
    for answer in answers:
        if not answer.damaged:
            unknown &= frozenset(answer.page.unknown)
    return unknown
