"""The document's part of a plan: `spine_core.planning.next_action`, said in the operator's words. Pure."""

from typing import Final

from spine_core.planning import next_action as core
from spine_core.planning.guards import Block, Pass, barrier, document_whole
from spine_core.planning.wanted import Wanted
from spine_operator.observe.observed import Observed
from spine_operator.plan.actions import Blocked, Decision, Done, Publish, Push, Wait
from spine_operator.plan.pods import shrink

# guard → reason of Stalled, where only a human can help
STALLS: Final = {
    "ConfigValid": "ConfigRefused",
    "DocumentWhole": "DocumentConflict",
    "PlacementPossible": "NotEnoughZones",
    "RoomFor": "NotEnoughDisk",
    "Sources": "DataLossRisk",
}


def is_quiet(observed: Observed) -> bool:
    """Whether no change runs, the document is whole and past its barrier: pods may be moved."""
    document = observed.document
    if document is None or document.change is not None:
        return False
    verdicts = (
        document_whole(document, observed.reports),
        barrier(observed.placement, observed.members),
    )
    return all(isinstance(verdict, Pass) for verdict in verdicts)


def next_step(observed: Observed, wanted: Wanted) -> Decision:
    """Return the next action on the document, or why there is none."""
    published_ms = observed.published_ms
    action = core.next_action(
        observed.document,
        observed.reports,
        wanted,
        cluster_id=observed.fresh_id,
        waited_s=(observed.now_ms - published_ms) / 1000 if published_ms is not None else 0.0,
        now_ms=observed.now_ms,
    )
    match action:
        case core.Publish():
            return _publish(observed, action)
        case core.Push(document=document, stores=stores, step=step):
            return Push(document=document, stores=stores, step=step)
        case core.Wait(step=step, message=message, done=done, total=total):
            return Wait(step=step, message=message, done=done, total=total)
        case core.Blocked():
            return _blocked(action)
        case core.RemoveSeats(seats=seats):
            return shrink(observed, frozenset(seats))
        case core.Done():
            return Done()


def _publish(observed: Observed, action: core.Publish) -> Decision:
    if action.step is core.Step.PREPARE and observed.cluster.spec.rebalance.suspend:
        return Blocked(
            guard="NotSuspended",
            verdict="Block",
            message="rebalance.suspend is set: no change is begun",
            step=core.Step.PLAN,
        )
    return Publish(
        document=action.document,
        version=observed.document_version,
        step=action.step,
        why=action.why,
    )


def _blocked(action: core.Blocked) -> Blocked:
    certain = isinstance(action.verdict, Block)
    return Blocked(
        guard=action.guard,
        verdict="Block" if certain else "Unknown",
        message=action.message,
        step=action.step,
        stalled=STALLS.get(action.guard) if certain else None,
    )
