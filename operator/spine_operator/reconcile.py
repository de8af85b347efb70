"""One turn for one custom resource: observe, plan, act, status. Level-triggered, nothing remembered.

Killed before or after any call and started again, the next turn goes on from what it sees (I6).
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, get_args

from spine_core.errors import InvalidInputError, SpineError
from spine_core.planning.actions import Blocked, Done, Wait
from spine_operator.execute import apply, let_go, perform
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
from spine_operator.resource.spec import Identity, parse_identity
from spine_operator.status.builder import build_status, is_ready, merge_patch, stalled_status
from spine_operator.status.events import act_event, status_events
from spine_operator.status.stalled import Stall

logger = logging.getLogger("spine.reconcile")

AGAIN_AFTER_ACT_S = 0.2
AGAIN_WHILE_WAITING_S = 2.0  # a change moves on with the nodes' reports, which wake nobody
AGAIN_WHILE_BLOCKED_S = 5.0
AGAIN_AT_REST_S = 30.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """When to look again; `gone`: the custom resource is no more."""

    look_again_s: float
    gone: bool = False
    plan: ReconcilePlan | None = None
    status: Json | None = None


async def reconcile(key: ClusterKey, uid: str, ports: Ports) -> Outcome:
    """Take one turn. A resource of this name with another UID is another one's business.

    Raises:
        KubeError, NodeError, InvalidInputError, OutdatedError: try again later, with back-off.
    """
    try:
        resource = await ports.kube.get(Kind.CLUSTER, key.namespace, key.name)
    except NotFoundError:
        return Outcome(0.0, gone=True)
    identity = parse_identity(resource)
    if identity.uid != uid:
        return Outcome(0.0, gone=True)
    if identity.deleted_ms is not None:
        return await _end(identity, ports)
    try:
        return await _turn(resource, ports)
    except (ForbiddenError, InvalidInputError) as error:
        reason = "OperatorForbidden" if isinstance(error, ForbiddenError) else "ConfigRefused"
        before = resource.get("status", {})
        stall = Stall(reason, str(error))
        after = stalled_status(before, stall, identity.generation, ports.now_ms())
        await _write_status(key, before, after, ports)
        raise


async def _turn(resource: Json, ports: Ports) -> Outcome:
    observed = await observe(resource, ports)
    cluster, before = observed.cluster, resource.get("status", {})
    wanted = wanted_by(cluster, ports.address_of)
    decided = plan(observed, wanted)
    failure = await _act(decided, observed, ports)
    status = build_status(observed, wanted, decided, before)
    await _write_status(cluster.key, before, status, ports)
    news = status_events(cluster, decided, before, status, observed.now_ms)
    await _tell(news, cluster, ports)
    if failure is not None:
        raise failure
    return Outcome(_pause_s(decided, status), plan=decided, status=status)


async def _act(decided: ReconcilePlan, observed: Observed, ports: Ports) -> SpineError | None:
    """Do what the plan says; a failure ends the acts of this turn, not its status.

    Raises:
        ForbiddenError, InvalidInputError: which the status has to say instead.
    """
    try:
        for one in decided.applies:
            await apply(one, observed, ports)
        if isinstance(decided.decision, get_args(ExclusiveAction)):
            await perform(decided.decision, observed, ports)
            logger.info("act_done", extra=_facts(observed.cluster, decided))
            event = act_event(observed.cluster, decided.decision, observed.now_ms)
            await _tell([event] if event else [], observed.cluster, ports)
    except (ForbiddenError, InvalidInputError):
        raise
    except SpineError as error:
        return error
    return None


async def _end(cluster: Identity, ports: Ports) -> Outcome:
    """Take one turn for a resource that is being deleted."""
    if not cluster.held:
        return Outcome(AGAIN_WHILE_WAITING_S)
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
        return Outcome(AGAIN_WHILE_WAITING_S, plan=ReconcilePlan(decision=decision))
    await let_go(decision, cluster, ports)
    event = act_event(cluster, decision, now_ms)
    await _tell([event] if event else [], cluster, ports)
    return Outcome(AGAIN_AFTER_ACT_S, plan=ReconcilePlan(decision=decision))


async def _write_status(key: ClusterKey, before: Json, after: Json, ports: Ports) -> None:
    patch = merge_patch(before, after)
    if patch:
        await ports.kube.patch_status(key.namespace, key.name, patch)


async def _tell(events: Iterable[dict[str, Any]], cluster: Identity, ports: Ports) -> None:
    """Post events; they are for people, so losing one stops nothing."""
    for event in events:
        try:
            await ports.kube.create(event)
        except ConflictError:
            continue  # said already, a moment ago
        except KubeError as error:
            logger.info("event_lost", extra={"cluster": str(cluster.key), "error": str(error)})


def _pause_s(decided: ReconcilePlan, status: Json) -> float:
    match decided.decision:
        case Done():
            return AGAIN_AT_REST_S if is_ready(status) else AGAIN_WHILE_WAITING_S
        case Blocked():
            return AGAIN_WHILE_BLOCKED_S
        case Wait():
            return AGAIN_WHILE_WAITING_S
        case _:
            return AGAIN_AFTER_ACT_S


def _facts(cluster: Identity, decided: ReconcilePlan) -> dict[str, str]:
    assert not isinstance(decided.decision, Done), "only acts are logged"
    step = str(decided.decision.step)
    return {"cluster": str(cluster.key), "act": type(decided.decision).__name__, "step": step}
