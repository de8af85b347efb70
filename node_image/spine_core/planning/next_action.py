"""Decide the next action on a cluster's topology: total, deterministic, idempotent. Pure.

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
    barrier_reached,
    document_whole,
    fully_replicated,
    pending_slots,
    pulled,
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
    """Return the one action to take now.

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
    given = PlanningInput(
        document=document,
        placement=Placement(document),
        observed=ObservedStores(document, reports),
        reports=reports,
        wanted=wanted,
        waited_s=waited_s,
        now_ms=now_ms,
    )
    action = _check_document(given) or _reach_barrier(given)
    if action is not None:
        return action
    action = (
        _advance_change(given)
        or _reject_unsupported(given)
        or _shrink(given)
        or plan(given)
        or Done()
    )
    if given.observed.behind and not isinstance(action, Publish | RemoveSeats):
        return _push(given)  # nothing better to do: whoever missed the barrier and answers now
    return action


def _check_document(given: PlanningInput) -> Action | None:
    """One writer (D2): stop when a node holds a newer document, or another one of an epoch of ours.

    Test: test_guards.py::test_document_whole_follows_the_chain_of_digests.
    """
    verdict = document_whole(given.document, given.reports)
    return first_blocked([(Guard.DOCUMENT_WHOLE, verdict)], Step.PLAN)


def _reach_barrier(given: PlanningInput) -> Action | None:
    """Barrier (R5): push this epoch until it holds; nothing else is decided before.

    Nodes that answer and are merely slow get `COURTESY_S` more. Test:
    test_next_action.py::test_without_the_barrier_nothing_goes_on_however_long_it_takes.
    """
    verdict = barrier_reached(given.placement, given.observed)
    if given.observed.behind and not (isinstance(verdict, Pass) and given.waited_s >= COURTESY_S):
        return _push(given)
    return first_blocked([(Guard.BARRIER, verdict)], _push_step(given))


def _advance_change(given: PlanningInput) -> Action | None:
    """One change at a time (R6, R7): take it one phase further, or back when it is not wanted.

    prepare → switch when every gained slot is pulled; switch → commit at once, for the barrier of
    switch has held already. Both ways back go through prepare: reads move first, writes last.
    Tests: test_next_action.py::test_a_joiner_that_does_not_answer_has_not_pulled and
    topology/test_document.py::test_a_change_goes_back_from_switch_through_prepare.
    """
    unwanted = _is_unwanted(given)
    match given.document.phase:
        case Phase.STABLE:
            return None
        case Phase.PREPARE if unwanted:
            document = given.document.reverted(now_ms=given.now_ms)
            return _publish(document, Step.REVERT, "no longer wanted")
        case Phase.PREPARE:
            return _pull_on(given)
        case Phase.SWITCH if unwanted:
            return _publish(given.document.unswitched(), Step.REVERT, "no longer wanted")
        case Phase.SWITCH:
            document = given.document.committed(now_ms=given.now_ms)
            return _publish(document, Step.COMMIT, "the target answers reads")


def _pull_on(given: PlanningInput) -> Action:
    """Wait until every gained slot is pulled, then switch; take the change back when it stalls."""
    verdict = pulled(given.placement, given.observed)
    if isinstance(verdict, Pass):
        return _publish(given.document.switched(), Step.SWITCH, "every gained slot is pulled")
    pending = pending_slots(given.placement, given.observed)
    if _is_stalled(given, pending):
        document = given.document.reverted(now_ms=given.now_ms, automatic=True)
        why = f"no slot pulled for {given.wanted.stall_timeout_s:.0f} s"
        return _publish(document, Step.REVERT, why)
    total = sum(len(slots) for slots in given.placement.gained().values())
    done = total - sum(len(slots) for slots in pending.values())
    return Wait(step=Step.PULL, message=verdict.message, done=done, total=total)


def _is_unwanted(given: PlanningInput) -> bool:
    """Whether the running change adds a seat that is not wanted, or removes one that is.

    A replaced seat is on both sides: it is finished first, whatever the spec says meanwhile.
    """
    seats = frozenset(given.wanted.seats)
    before, after = given.document.current.keys(), given.document.target.keys()
    return not (after - before <= seats and seats.isdisjoint(before - after))


def _is_stalled(given: PlanningInput, pending: dict[StoreNumber, frozenset[Slot]]) -> bool:
    """Whether every store that still has to pull has pulled nothing for `stall_timeout_s`."""
    timeout_s = given.wanted.stall_timeout_s
    return given.waited_s >= timeout_s and all(
        _idle_s(given, store) >= timeout_s for store in pending
    )


def _idle_s(given: PlanningInput, store: StoreNumber) -> float:
    """Return for how long a store has pulled nothing.

    One that somebody has suspended is not idle. One that does not answer us counts as idle for as
    long as the members that know it have heard nothing from it either.
    """
    report = given.observed.known(store)
    if report is not None and report.pace_slots == 0:
        return 0.0
    if report is not None:
        return report.change.idle_s if report.change else given.waited_s
    views = [given.observed.known(number) for number in sorted(given.observed.live)]
    silent_s = [view.peers[store].silent_s for view in views if view and store in view.peers]
    return min(silent_s, default=given.waited_s)


def _reject_unsupported(given: PlanningInput) -> Action | None:
    """Block on wanted changes that are not possible or not built, rather than ignore them."""
    checks = [(Guard.CONFIG_VALID, _same_parameters(given)), (Guard.NOT_BUILT, _same_stores(given))]
    return first_blocked(checks, Step.PLAN)


def _same_parameters(given: PlanningInput) -> Verdict:
    """ConfigValid: what is fixed for a cluster's life is wanted as it is."""
    document, wanted = given.document, given.wanted
    for name in ("factor", "write_quorum", "zone_policy", "virtual_nodes", "slots"):
        if getattr(document, name) != getattr(wanted, name):
            return Block(f"{name} cannot change while the cluster lives")
    for seat, number in document.current.items():
        store, address = document.stores[number], wanted.seats.get(seat)
        if address is not None and (address.zone, address.url) != (store.zone, store.url):
            return Block(f"{seat} cannot move to {address.zone} at {address.url}: use a new name")
    return Pass()


def _same_stores(given: PlanningInput) -> Verdict:
    """Identity (R9): every wanted seat answers with the store that the document gives it.

    Another store is a replacement, which is not built.
    Test: test_next_action.py::test_an_empty_disk_on_a_named_seat_is_not_its_old_self.
    """
    document = given.document
    for seat, number in document.current.items():
        report = given.reports.get(seat)
        if report is None or seat not in given.wanted.seats:
            continue
        if report.cluster_id not in (None, document.cluster_id):
            continue  # somebody else's node answers: nothing is known about ours
        if report.store_id != document.stores[number].id or report.status == "retired":
            return Block(f"{seat} came back without its store; replacing it is not built yet")
    return Pass()


def _shrink(given: PlanningInput) -> Action | None:
    """Remove nodes that the document does not name.

    One with an empty store goes at once; one that held data only when all others are in step.
    Test: test_next_action.py::test_a_drained_node_stays_until_all_others_are_in_step.
    """
    kept = given.document.current.keys() | given.wanted.seats.keys()
    extra = sorted(seat for seat in given.reports if seat not in kept)
    fresh = [seat for seat in extra if (r := given.reports[seat]) and r.status == "unjoined"]
    if fresh:
        return RemoveSeats(seats=tuple(fresh))
    if not extra:
        return None
    verdict = fully_replicated(given.placement, given.observed)
    blocked = first_blocked([(Guard.FULLY_REPLICATED, verdict)], Step.SHRINK)
    return blocked or RemoveSeats(seats=tuple(extra))


def _push(given: PlanningInput) -> Push:
    return Push(document=given.document, stores=given.observed.behind, step=_push_step(given))


def _push_step(given: PlanningInput) -> Step:
    return Step.SETTLE if given.document.phase is Phase.STABLE else Step.PUSH


def _publish(document: Document, step: Step, why: str) -> Publish:
    return Publish(document=document, step=step, why=why)
