"""Events: one per transition, of a closed set. Building them is pure.

An event's name is made of what it says and of the ten minutes in which it does, so that a condition
which comes and goes is no flood: saying it again in that time is a conflict, later a second event.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

from spine_core.planning.actions import Blocked, Publish, Step
from spine_operator.manifests.objects import API_VERSION, KIND
from spine_operator.naming import FIELD_MANAGER, digest
from spine_operator.plan.actions import DeleteClaim, ExclusiveAction, ReconcilePlan, RemoveFinalizer
from spine_operator.ports import Json
from spine_operator.resource.spec import ResourceIdentity

EVENT_WINDOW_MS: Final = 600_000
_PUBLISHED: Final = {
    Step.PREPARE: "ChangePrepared",
    Step.SWITCH: "ChangeSwitched",
    Step.COMMIT: "ChangeCommitted",
    Step.REVERT: "ChangeReverted",
}
_WARNINGS: Final = frozenset({"Blocked", "Stalled", "ChangeReverted", "VolumeKept"})


def action_event(
    cluster: ResourceIdentity, action: ExclusiveAction, now_ms: int
) -> dict[str, Any] | None:
    """Return the event of an action that has succeeded, None for those that nobody waits for."""
    match action:
        case Publish(document=document, why=why) if document.epoch == 1:
            return _event(cluster, "ClusterCreated", why, now_ms)
        case Publish(step=step, document=document, why=why):
            note = f"epoch {document.epoch}: {why}"
            return _event(cluster, _PUBLISHED[step], note, now_ms)
        case DeleteClaim(name=name, why=why):
            return _event(cluster, "VolumeDeleted", f"{name}: {why}", now_ms)
        case RemoveFinalizer(left_over=left_over) if left_over:
            note = f"could not be deleted in time: {', '.join(left_over)}"
            return _event(cluster, "VolumeKept", note, now_ms)
        case _:
            return None


def status_events(
    cluster: ResourceIdentity, plan: ReconcilePlan, before: Json, after: Json, now_ms: int
) -> Iterator[dict[str, Any]]:
    """Yield what the new status says for the first time: a guard that blocks, a stall."""
    if isinstance(plan.decision, Blocked):
        check = before.get("operation", {}).get("blockedBy", {}).get("check")
        if check != plan.decision.guard:
            note = f"{plan.decision.guard}: {plan.decision.message}"
            yield _event(cluster, "Blocked", note, now_ms)
    old, new = _stall(before), _stall(after)
    if new and new["reason"] != old.get("reason"):
        yield _event(cluster, "Stalled", f"{new['reason']}: {new['message']}", now_ms)


def _stall(status: Json) -> Json:
    found = (one for one in status.get("conditions", ()) if one["type"] == "Stalled")
    return next(found, {})


def _event(cluster: ResourceIdentity, reason: str, note: str, now_ms: int) -> dict[str, Any]:
    key = cluster.key
    window = now_ms // EVENT_WINDOW_MS
    said = digest({"uid": cluster.uid, "reason": reason, "note": note, "window": window})
    now = datetime.fromtimestamp(now_ms / 1000, UTC)
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": f"{key.name}.{said}", "namespace": key.namespace},
        "eventTime": now.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "reportingController": FIELD_MANAGER,
        "reportingInstance": FIELD_MANAGER,
        "action": "Reconcile",
        "reason": reason,
        "note": note[:1024],
        "type": "Warning" if reason in _WARNINGS else "Normal",
        "regarding": {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "name": key.name,
            "namespace": key.namespace,
            "uid": cluster.uid,
        },
    }
