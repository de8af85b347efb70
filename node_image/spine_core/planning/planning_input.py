"""Everything a decision about the topology may look at. Pure data."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from spine_core.planning.actions import Blocked, Step
from spine_core.planning.guards import Guard, Pass, Verdict
from spine_core.planning.observed_stores import ObservedStores, Reports
from spine_core.planning.wanted import Wanted
from spine_core.topology.document import Document, Seat
from spine_core.topology.placement import Placement


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanningInput:
    """What is known at one moment. `waited_s` is the age of the document's epoch."""

    document: Document
    placement: Placement
    observed: ObservedStores
    reports: Reports
    wanted: Wanted
    waited_s: float
    now_ms: int

    def joining(self) -> tuple[Seat, ...]:
        """Return the wanted seats that are not in the document, in the order they join."""
        return tuple(seat for seat in self.wanted.seats if seat not in self.document.current)

    def leaving(self) -> frozenset[Seat]:
        """Return the seats of the document that nobody wants."""
        return frozenset(self.document.current) - frozenset(self.wanted.seats)


def discard_implausible(reports: Reports) -> Reports:
    """Turn answers that cannot be right into unknown ones.

    A node that answers for another seat has taken over an address; a store that answers from two
    seats has been copied.
    """
    seen = Counter(report.store_id for report in reports.values() if report is not None)
    return {
        seat: report
        if report is not None and report.seat == seat and seen[report.store_id] == 1
        else None
        for seat, report in reports.items()
    }


def first_blocked(checks: Iterable[tuple[Guard, Verdict]], step: Step) -> Blocked | None:
    """Return the first guard that does not pass; later ones are not asked."""
    for guard, verdict in checks:
        if not isinstance(verdict, Pass):
            return Blocked(guard=guard, verdict=verdict, step=step)
    return None
