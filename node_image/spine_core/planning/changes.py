"""Choose the next change of membership: drain before join, as many nodes as may be lost. Pure.

Nodes leave first, because a spec that is smaller wants less data to move; where the ones that stay
would be too few or too full, others join before.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import takewhile

from spine_core.planning.actions import Action, Blocked, Publish, Step, Wait
from spine_core.planning.guards import (
    Block,
    Guard,
    Pass,
    Verdict,
    fully_replicated,
    members_visible,
    peers_agree,
    placement_possible,
    room_for,
    sources,
    tolerable,
)
from spine_core.planning.planning_input import PlanningInput, first_blocked
from spine_core.planning.reports import Report
from spine_core.topology.document import Document, Seat, StoreInfo, Zone
from spine_core.topology.placement import Placement
from spine_core.topology.seats import leaving_order, placeable

JOIN_PATIENCE_S = 120.0  # a pod that is not up by then joins with a later change
BACK_OFF_MAX_MIN = 60  # after 2, 4, 8, 16, 32 minutes


def plan(given: PlanningInput) -> Action | None:
    """Return the change that brings the document nearer to what is wanted, None when there is none."""
    if not given.joining() and not given.leaving():
        return None
    return _back_off(given) or _drain(given) or _join(given)


def _back_off(given: PlanningInput) -> Wait | None:
    """Wait after stalled changes: 2 minutes after the first, doubled after each further one."""
    stalled = list(
        takewhile(
            lambda entry: entry.result == "reverted" and entry.automatic,
            reversed(given.document.history),
        )
    )
    if not stalled:
        return None
    pause_s = 60 * min(2 ** len(stalled), BACK_OFF_MAX_MIN)
    passed_s = (given.now_ms - (stalled[0].ended_ms or 0)) // 1000
    if passed_s >= pause_s:
        return None
    message = f"{stalled[0].id} stalled and was taken back; the next change comes later"
    return Wait(step=Step.PLAN, message=message, done=max(passed_s, 0), total=pause_s)


def _drain(given: PlanningInput) -> Action | None:
    """Begin a drain; None when nobody leaves, or others have to join first.

    The dead leave before the living: in the target of another's drain they would have to pull.
    """
    if not given.leaving():
        return None
    stores = given.document.stores
    zones = {seat: stores[number].zone for seat, number in given.document.current.items()}
    order = sorted(
        leaving_order(zones, given.leaving(), given.wanted.zones()),
        key=lambda seat: given.document.current[seat] in given.observed.live,
    )
    candidate = _largest(
        ((seat, zones[seat]) for seat in order),
        given.wanted.max_nodes_per_change,
        lambda batch: given.document.with_change(
            "drain", leaving=frozenset(batch), now_ms=given.now_ms
        ),
    )
    action = _refuse_seats(given) if candidate is None else _begin(given, candidate)
    full = isinstance(action, Blocked) and action.guard is Guard.ROOM_FOR
    others_help = candidate is None or full
    return None if others_help and given.joining() else action


def _join(given: PlanningInput) -> Action | None:
    """Begin a join with the nodes that have shown an empty store; wait for the others a while."""
    ready = {seat: report for seat in given.joining() if (report := _newcomer(given, seat))}
    missing = [seat for seat in given.joining() if seat not in ready]
    if missing and max((report.up_s for report in ready.values()), default=0.0) < JOIN_PATIENCE_S:
        return _wait_for_stores(given, missing, len(ready))
    addresses = given.wanted.seats
    joining = {
        seat: StoreInfo(
            id=report.store_id, seat=seat, zone=addresses[seat].zone, url=addresses[seat].url
        )
        for seat, report in ready.items()
    }
    candidate = _largest(
        ((seat, addresses[seat].zone) for seat in joining),
        given.wanted.max_nodes_per_change,
        lambda batch: given.document.with_change(
            "join", joining=tuple(joining[seat] for seat in batch), now_ms=given.now_ms
        ),
    )
    return _begin(given, candidate) if candidate is not None else _refuse_seats(given)


def _newcomer(given: PlanningInput, seat: Seat) -> Report | None:
    """Return the report of a node with an empty store that has never belonged to a cluster."""
    report = given.reports.get(seat)
    if report is None or report.status != "unjoined" or report.cluster_id is not None:
        return None
    used = {store.id for store in given.document.stores.values()}
    used |= set(given.document.retired.values())
    return None if report.store_id in used else report


def _wait_for_stores(given: PlanningInput, missing: list[Seat], ready: int) -> Action:
    """Say which seats hold up a join: by silence, or (VolumeFree) by a store that was used."""
    used = ", ".join(seat for seat in missing if given.reports.get(seat) is not None)
    if used:
        message = f"{used} must come with an empty store, not with one that was used before"
        return Blocked(guard=Guard.VOLUME_FREE, verdict=Block(message), step=Step.STORES)
    message = f"waiting for an empty store on {', '.join(missing)}"
    return Wait(step=Step.STORES, message=message, done=ready, total=ready + len(missing))


def _largest(
    candidates: Iterable[tuple[Seat, Zone]],
    limit: int,
    change: Callable[[tuple[Seat, ...]], Document],
) -> Placement | None:
    """Return the change with the most of the seats, in their order, that stays tolerable.

    A single seat goes even if it is not. Where no seat can go alone, all go at once or none. The
    first refusal of a zone stands for the zone: its seats hold copies of the same slots.
    """
    listed = tuple(candidates)
    taken: tuple[Seat, ...] = ()
    best: Placement | None = None
    full: set[Zone] = set()
    for seat, zone in listed:
        if zone in full or len(taken) == limit:
            continue
        attempt = _placed(change((*taken, seat)))
        if attempt and (best is None or isinstance(tolerable(attempt), Pass)):
            taken, best = (*taken, seat), attempt
        else:
            full.add(zone)
    return best or _placed(change(tuple(seat for seat, _ in listed[:limit])))


def _placed(document: Document) -> Placement | None:
    """Return the placement of a document, None when its zones cannot hold the replicas."""
    zones = {seat: document.stores[number].zone for seat, number in document.target.items()}
    possible = placeable(zones, factor=document.factor, zone_policy=document.zone_policy)
    return Placement(document) if possible else None


def _begin(given: PlanningInput, candidate: Placement) -> Action:
    """Publish the first document of a change when its guards pass."""
    blocked = first_blocked(_checks(given, candidate), Step.PLAN)
    if blocked:
        return blocked
    change = candidate.document.change
    assert change is not None, "a candidate begins a change"
    moving = sorted(change.target.keys() ^ given.document.current.keys())
    slots = sum(len(gained) for gained in candidate.gained().values())
    why = f"{change.kind} of {', '.join(moving)}: {slots} copies of slots move"
    risk = tolerable(candidate)
    if not isinstance(risk, Pass):
        why = f"{why}; writes and the way back need the joining stores: {risk.message}"
    return Publish(document=candidate.document, step=Step.PREPARE, why=why)


def _checks(given: PlanningInput, candidate: Placement) -> Iterator[tuple[Guard, Verdict]]:
    """Ask the guards of a join or a drain, the cheapest first.

    Seats that nobody wants may be dead, whether they leave with this change or with a later one.
    """
    leaving = frozenset(given.document.current[seat] for seat in given.leaving())
    yield Guard.MEMBERS_VISIBLE, members_visible(given.observed, targets=leaving)
    yield Guard.PEERS_AGREE, peers_agree(given.observed, targets=leaving)
    change = candidate.document.change
    if change is not None and change.kind == "drain":
        verdict = fully_replicated(given.placement, given.observed, excepted=leaving)
        yield Guard.FULLY_REPLICATED, verdict
    yield Guard.SOURCES, sources(candidate, given.observed)
    percent = given.wanted.min_free_disk_percent
    yield Guard.ROOM_FOR, room_for(candidate, given.reports, min_free_percent=percent)


def _refuse_seats(given: PlanningInput) -> Blocked | None:
    """Block when the wanted seats cannot hold the replicas, None when they can."""
    verdict = placement_possible(
        {seat: address.zone for seat, address in given.wanted.seats.items()},
        factor=given.document.factor,
        zone_policy=given.document.zone_policy,
    )
    return first_blocked([(Guard.PLACEMENT_POSSIBLE, verdict)], Step.PLAN)
