"""Plans the deletion of a cluster (operator.md §7.8): keep everything, or delete in a safe order. Pure.

Retain: only the finalizer goes; Kubernetes then collects what the resource owns, and claims, Secrets
and document stay for a resource of the same name. Delete: StatefulSets, then claims, then Secrets and
document; what is on its way out holds nothing up, so a dead host leaves no document behind that names
volumes which go. No node is asked. A deletion never hangs: after `LIMIT_S` the finalizer goes whatever
is left.
"""

from spine_core.planning.actions import Step, Wait
from spine_operator.observe.remnants import Steps
from spine_operator.plan.actions import DeleteChild, RemoveFinalizer
from spine_operator.resource.spec import ResourceIdentity

LIMIT_S = 360  # two minutes for each of the three steps


def plan_deletion(
    cluster: ResourceIdentity, steps: Steps, now_ms: int
) -> DeleteChild | RemoveFinalizer | Wait:
    """Return what to do next. `steps` may be stale or empty: every deletion carries a UID."""
    assert cluster.deleted_ms is not None, "asked for a resource that is being deleted"
    left = tuple(f"{one.kind.value.rpartition('/')[2]} {one.name}" for _, s in steps for one in s)
    if now_ms - cluster.deleted_ms > LIMIT_S * 1000:
        return RemoveFinalizer(left_over=left)
    for step, remnants in steps:
        for one in remnants:
            if not one.terminating:
                return DeleteChild(kind=one.kind, name=one.name, uid=one.uid, step=step)
    if left:
        return Wait(step=Step.FINALIZER, message=f"waiting for {', '.join(left)}")
    return RemoveFinalizer()
