"""Plans the topology document: `spine_core.planning.next_action`, translated where pods go. Pure."""

from spine_core.planning.actions import Blocked, Publish, RemoveSeats, Step
from spine_core.planning.guards import Block, Guard, Pass, barrier_reached, document_whole
from spine_core.planning.next_action import next_action
from spine_core.planning.wanted import Wanted
from spine_operator.observe.observed import Observed
from spine_operator.plan.actions import Decision
from spine_operator.plan.pods import shrink


def is_quiet(observed: Observed) -> bool:
    """Return whether no change runs and the document is whole and past its barrier: pods may be moved."""
    document = observed.document
    if document is None or document.change is not None:
        return False
    verdicts = (
        document_whole(document, observed.reports),
        barrier_reached(observed.placement, observed.stores),
    )
    return all(isinstance(verdict, Pass) for verdict in verdicts)


def next_on_topology(observed: Observed, wanted: Wanted) -> Decision:
    """Return the next action on the document, or why there is none."""
    published_ms = observed.published_ms
    action = next_action(
        observed.document,
        observed.reports,
        wanted,
        cluster_id=observed.fresh_id,
        waited_s=(observed.now_ms - published_ms) / 1000 if published_ms is not None else 0.0,
        now_ms=observed.now_ms,
    )
    suspended = observed.cluster.spec.rebalance.suspend
    if isinstance(action, Publish) and action.step is Step.PREPARE and suspended:
        verdict = Block("rebalance.suspend is set: no change is begun")
        return Blocked(guard=Guard.NOT_SUSPENDED, verdict=verdict, step=Step.PLAN)
    if isinstance(action, RemoveSeats):
        return shrink(observed, frozenset(action.seats))
    return action
