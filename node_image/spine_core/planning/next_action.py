"""The one next action on a cluster's topology: total, deterministic, idempotent. Pure.

The document holds the whole state of a change, so whoever asks again, after whatever crash, goes on
from there. Nothing is published without the barrier of the epoch before, and what is not known
blocks.
"""

from spine_core.planning.actions import (
    Action,
    Blocked,
    Done,
    Publish,
    Push,
    RemoveSeats,
    Step,
    Wait,
)
from spine_core.planning.bootstrap import bootstrap
from spine_core.planning.changes import plan
from spine_core.planning.guards import (
    Block,
    Guard,
    Pass,
    Verdict,
    barrier,
    document_whole,
    fully_replicated,
    pulled,
    slots_left,
)
from spine_core.planning.observed_stores import ObservedStores, Reports
from spine_core.planning.planning_input import PlanningInput, discard_implausible, first_blocked
from spine_core.planning.wanted import SeatAddress, Wanted
from spine_core.scalars import Slot, StoreNumber
from spine_core.topology.document import Document, Phase
from spine_core.topology.placement import Placement

__all__ = [
    "Action",
    "Blocked",
    "Done",
    "Publish",
    "Push",
    "RemoveSeats",
    "SeatAddress",
    "Step",
    "Wait",
    "Wanted",
    "next_action",
]

COURTESY_S = 30.0  # a live node that is slow gets this long; then the barrier alone counts


def next_action(
    document: Document | None,
    reports: Reports,
    wanted: Wanted,
    *,
    cluster_id: str,
    waited_s: float,
    now_ms: int,
) -> Action:
    """Return what to do now.

    Args:
        document: the newest one that is stored; None only if the store said that there is none.
        reports: seat → its fresh report, None when no usable answer came. Seats that exist but are
            neither wanted nor named belong in it too.
        wanted: what the spec asks for.
        cluster_id: UUID for a new cluster; used for epoch 1 only.
        waited_s: how long the document's epoch has been published.
        now_ms: wall clock, for the document's history and the pause after a stalled change.
    """
    reports = discard_implausible(reports)
    if document is None:
        return bootstrap(reports, wanted, cluster_id=cluster_id)
    turn = PlanningInput(
        document=document,
        placement=Placement(document),
        members=ObservedStores(document, reports),
        reports=reports,
        wanted=wanted,
        waited_s=waited_s,
        now_ms=now_ms,
    )
    action = _check_document(turn) or _reach_barrier(turn)
    if action is not None:
        return action
    action = (
        _advance_change(turn) or _reject_unsupported(turn) or _shrink(turn) or plan(turn) or Done()
    )
    if turn.members.behind and not isinstance(action, Publish | RemoveSeats):
        return _push(turn)  # nothing better to do: whoever missed the barrier and answers now
    return action


def _check_document(turn: PlanningInput) -> Action | None:
    """Stop when somebody holds a newer document, or another one."""
    verdict = document_whole(turn.document, turn.reports)
    return first_blocked([(Guard.DOCUMENT_WHOLE, verdict)], Step.PLAN)


def _reach_barrier(turn: PlanningInput) -> Action | None:
    """Push until the barrier holds; out of courtesy a while longer for those that answer."""
    verdict = barrier(turn.placement, turn.members)
    if turn.members.behind and not (isinstance(verdict, Pass) and turn.waited_s >= COURTESY_S):
        return _push(turn)
    return first_blocked([(Guard.BARRIER, verdict)], _push_step(turn))


def _advance_change(turn: PlanningInput) -> Action | None:
    """Take the running change one phase further, or back when nobody wants it any more."""
    unwanted = _is_unwanted(turn)
    match turn.document.phase:
        case Phase.STABLE:
            return None
        case Phase.PREPARE if unwanted:
            document = turn.document.reverted(now_ms=turn.now_ms)
            return _publish(document, Step.REVERT, "no longer wanted")
        case Phase.PREPARE:
            return _pull_on(turn)
        case Phase.SWITCH if unwanted:
            return _publish(turn.document.unswitched(), Step.REVERT, "no longer wanted")
        case Phase.SWITCH:
            document = turn.document.committed(now_ms=turn.now_ms)
            return _publish(document, Step.COMMIT, "the target answers reads")


def _pull_on(turn: PlanningInput) -> Action:
    verdict = pulled(turn.placement, turn.members)
    if isinstance(verdict, Pass):
        return _publish(turn.document.switched(), Step.SWITCH, "every gained slot is pulled")
    left = slots_left(turn.placement, turn.members)
    if _is_stalled(turn, left):
        document = turn.document.reverted(now_ms=turn.now_ms, automatic=True)
        why = f"no slot pulled for {turn.wanted.stall_timeout_s:.0f} s"
        return _publish(document, Step.REVERT, why)
    total = sum(len(slots) for slots in turn.placement.gained().values())
    done = total - sum(len(slots) for slots in left.values())
    return Wait(step=Step.PULL, message=verdict.message, done=done, total=total)


def _is_unwanted(turn: PlanningInput) -> bool:
    """Whether the running change brings a seat that nobody wants, or takes one that somebody does.

    A replaced seat is on both sides: it is finished first, whatever the spec says meanwhile.
    """
    seats = frozenset(turn.wanted.seats)
    before, after = turn.document.current.keys(), turn.document.target.keys()
    return not (after - before <= seats and seats.isdisjoint(before - after))


def _is_stalled(turn: PlanningInput, left: dict[StoreNumber, frozenset[Slot]]) -> bool:
    timeout_s = turn.wanted.stall_timeout_s
    return turn.waited_s >= timeout_s and all(_idle_s(turn, store) >= timeout_s for store in left)


def _idle_s(turn: PlanningInput, store: StoreNumber) -> float:
    """Return for how long a store has pulled nothing.

    One that somebody has suspended is not idle. One that does not answer us counts as idle for as
    long as the members that know it have heard nothing from it either.
    """
    report = turn.members.known(store)
    if report is not None and report.pace_slots == 0:
        return 0.0
    if report is not None:
        return report.change.idle_s if report.change else turn.waited_s
    views = [turn.members.known(number) for number in sorted(turn.members.live)]
    silent_s = [view.peers[store].silent_s for view in views if view and store in view.peers]
    return min(silent_s, default=turn.waited_s)


def _reject_unsupported(turn: PlanningInput) -> Action | None:
    """Name what is wanted and cannot be done, rather than ignoring it."""
    checks = [(Guard.CONFIG_VALID, _same_parameters(turn)), (Guard.NOT_BUILT, _same_stores(turn))]
    return first_blocked(checks, Step.PLAN)


def _same_parameters(turn: PlanningInput) -> Verdict:
    document, wanted = turn.document, turn.wanted
    for name in ("factor", "write_quorum", "zone_policy", "virtual_nodes", "slots"):
        if getattr(document, name) != getattr(wanted, name):
            return Block(f"{name} cannot change while the cluster lives")
    for seat, number in document.current.items():
        store, place = document.stores[number], wanted.seats.get(seat)
        if place is not None and (place.zone, place.url) != (store.zone, store.url):
            return Block(f"{seat} cannot move to {place.zone} at {place.url}: use a new name")
    return Pass()


def _same_stores(turn: PlanningInput) -> Verdict:
    document = turn.document
    for seat, number in document.current.items():
        report = turn.reports.get(seat)
        if report is None or seat not in turn.wanted.seats:
            continue
        if report.cluster_id not in (None, document.cluster_id):
            continue  # somebody else's node answers: nothing is known about ours
        if report.store_id != document.stores[number].id or report.status == "retired":
            return Block(f"{seat} came back without its store; replacing it is not built yet")
    return Pass()


def _shrink(turn: PlanningInput) -> Action | None:
    """Take away nodes that are not named. One that held data leaves when all others are in step."""
    kept = turn.document.current.keys() | turn.wanted.seats.keys()
    extra = sorted(seat for seat in turn.reports if seat not in kept)
    fresh = [seat for seat in extra if (r := turn.reports[seat]) and r.status == "unjoined"]
    if fresh:
        return RemoveSeats(seats=tuple(fresh))
    if not extra:
        return None
    verdict = fully_replicated(turn.placement, turn.members)
    blocked = first_blocked([(Guard.FULLY_REPLICATED, verdict)], Step.SHRINK)
    return blocked or RemoveSeats(seats=tuple(extra))


def _push(turn: PlanningInput) -> Push:
    return Push(document=turn.document, stores=turn.members.behind, step=_push_step(turn))


def _push_step(turn: PlanningInput) -> Step:
    return Step.SETTLE if turn.document.phase is Phase.STABLE else Step.PUSH


def _publish(document: Document, step: Step, why: str) -> Publish:
    return Publish(document=document, step=step, why=why)
