"""One reconcile pass of a custom resource: observe, plan, execute, write the status. Level-triggered.

Nothing is remembered. Killed before or after any call and started again, the next pass goes on from
what it sees (I6).
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, get_args

from spine_core.errors import InvalidInputError, SpineError
from spine_core.planning.actions import Blocked, Done, Wait
from spine_operator.execute import apply, delete, execute
from spine_operator.naming import ClusterKey
from spine_operator.observe.observed import Observed
from spine_operator.observe.observer import observe
from spine_operator.observe.remnants import Steps, observe_remnants
from spine_operator.plan.actions import ExclusiveAction, ReconcilePlan
from spine_operator.plan.deletion import LIMIT_S, plan_deletion
from spine_operator.plan.planner import plan
from spine_operator.ports import (
    ConflictError,
    ForbiddenError,
    Json,
    Kind,
    KubeError,
    NotFoundError,
    Ports,
)
from spine_operator.resource.seats import wanted_by
from spine_operator.resource.spec import ResourceIdentity, parse_identity
from spine_operator.status.builder import build_status, is_ready, merge_patch, stalled_status
from spine_operator.status.events import action_event, status_events
from spine_operator.status.stalled import Stall

logger = logging.getLogger("spine.reconcile")

REQUEUE_AFTER_ACTION_S = 0.2
REQUEUE_WHILE_WAITING_S = 2.0  # a change moves on with the nodes' reports, which wake nobody
REQUEUE_WHILE_BLOCKED_S = 5.0
REQUEUE_AT_REST_S = 30.0


@dataclass(frozen=True, slots=True)
class ReconcileResult:
    """When to run the next pass; `gone`: the custom resource is no more."""

    requeue_after_s: float
    gone: bool = False
    plan: ReconcilePlan | None = None
    status: Json | None = None


async def reconcile(key: ClusterKey, uid: str, ports: Ports) -> ReconcileResult:
    """Run one pass. A resource of this name with another UID is left to its own daemon.

    Raises:
        KubeError, NodeError, InvalidInputError, OutdatedError: try again later, with back-off.
    """
    try:
        resource = await ports.kube.get(Kind.CLUSTER, key.namespace, key.name)
    except NotFoundError:
        return ReconcileResult(0.0, gone=True)
    identity = parse_identity(resource)
    if identity.uid != uid:
        return ReconcileResult(0.0, gone=True)
    if identity.deleted_ms is not None:
        return await _reconcile_deletion(identity, ports)
    try:
        return await _reconcile_spec(resource, ports)
    except (ForbiddenError, InvalidInputError) as error:
        reason = "OperatorForbidden" if isinstance(error, ForbiddenError) else "ConfigRefused"
        before = resource.get("status", {})
        stall = Stall(reason, str(error))
        after = stalled_status(before, stall, identity.generation, ports.now_ms())
        await _write_status(key, before, after, ports)
        raise


async def _reconcile_spec(resource: Json, ports: Ports) -> ReconcileResult:
    observed = await observe(resource, ports)
    cluster, before = observed.cluster, resource.get("status", {})
    wanted = wanted_by(cluster, ports.address_of)
    decided = plan(observed, wanted)
    failure = await _execute_plan(decided, observed, ports)
    status = build_status(observed, wanted, decided, before)
    await _write_status(cluster.key, before, status, ports)
    news = status_events(cluster, decided, before, status, observed.now_ms)
    await _post_events(news, cluster, ports)
    if failure is not None:
        raise failure
    return ReconcileResult(_requeue_after_s(decided, status), plan=decided, status=status)


async def _execute_plan(
    decided: ReconcilePlan, observed: Observed, ports: Ports
) -> SpineError | None:
    """Execute the plan; a failure ends the actions of this pass, not its status.

    Raises:
        ForbiddenError, InvalidInputError: which the status has to say instead.
    """
    try:
        for one in decided.applies:
            await apply(one, observed, ports)
        if isinstance(decided.decision, get_args(ExclusiveAction)):
            await execute(decided.decision, observed, ports)
            logger.info("action_done", extra=_facts(observed.cluster, decided))
            event = action_event(observed.cluster, decided.decision, observed.now_ms)
            await _post_events([event] if event else [], observed.cluster, ports)
    except (ForbiddenError, InvalidInputError):
        raise
    except SpineError as error:
        return error
    return None


async def _reconcile_deletion(cluster: ResourceIdentity, ports: Ports) -> ReconcileResult:
    """Run one pass for a resource that is being deleted."""
    if not cluster.held:
        return ReconcileResult(REQUEUE_WHILE_WAITING_S)
    now_ms = ports.now_ms()
    assert cluster.deleted_ms is not None, "it is being deleted"
    late = now_ms - cluster.deleted_ms > LIMIT_S * 1000
    steps: Steps = ()
    try:
        steps = await observe_remnants(cluster, ports.kube)
    except KubeError:
        if not late:
            raise
    decision = plan_deletion(cluster, steps, now_ms)
    if isinstance(decision, Wait):
        return ReconcileResult(REQUEUE_WHILE_WAITING_S, plan=ReconcilePlan(decision=decision))
    await delete(decision, cluster, ports)
    event = action_event(cluster, decision, now_ms)
    await _post_events([event] if event else [], cluster, ports)
    return ReconcileResult(REQUEUE_AFTER_ACTION_S, plan=ReconcilePlan(decision=decision))


async def _write_status(key: ClusterKey, before: Json, after: Json, ports: Ports) -> None:
    patch = merge_patch(before, after)
    if patch:
        await ports.kube.patch_status(key.namespace, key.name, patch)


async def _post_events(
    events: Iterable[dict[str, Any]], cluster: ResourceIdentity, ports: Ports
) -> None:
    """Post events; they are for people, so losing one stops nothing."""
    for event in events:
        try:
            await ports.kube.create(event)
        except ConflictError:
            continue  # said already, a moment ago
        except KubeError as error:
            logger.info("event_lost", extra={"cluster": str(cluster.key), "error": str(error)})


def _requeue_after_s(decided: ReconcilePlan, status: Json) -> float:
    match decided.decision:
        case Done():
            return REQUEUE_AT_REST_S if is_ready(status) else REQUEUE_WHILE_WAITING_S
        case Blocked():
            return REQUEUE_WHILE_BLOCKED_S
        case Wait():
            return REQUEUE_WHILE_WAITING_S
        case _:
            return REQUEUE_AFTER_ACTION_S


def _facts(cluster: ResourceIdentity, decided: ReconcilePlan) -> dict[str, str]:
    assert not isinstance(decided.decision, Done), "only actions are logged"
    step = str(decided.decision.step)
    return {"cluster": str(cluster.key), "action": type(decided.decision).__name__, "step": step}
