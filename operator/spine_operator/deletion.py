"""The end of a custom resource (operator.md §7.8): keep everything, or delete in a safe order.

Retain: only the finalizer goes; Kubernetes then collects what the resource owns, and claims, Secrets
and document stay for a resource of the same name. Delete: StatefulSets, then claims, then Secrets and
document. No node is asked. A deletion never hangs: after `LIMIT_S` the finalizer goes whatever is left.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from spine_operator.children import is_ours
from spine_operator.decisions import DeleteChild, RemoveFinalizer, Wait
from spine_operator.manifests.secret import secret_name
from spine_operator.ports import Json, Kind, KubePort, NotFoundError, kind_of
from spine_operator.spec import Cluster

LIMIT_S = 360  # two minutes for each of the three steps
_PURPOSES = ("client", "tls", "ca", "admin", "cluster")


@dataclass(frozen=True, slots=True, kw_only=True)
class Remnant:
    """An object of ours that still exists."""

    kind: Kind
    name: str
    uid: str
    terminating: bool


Steps = Sequence[tuple[str, Sequence[Remnant]]]  # what has to be gone, step by step


async def observe_remnants(cluster: Cluster, kube: KubePort) -> Steps:
    """Return what is left of a cluster that is being deleted. Raises `KubeError`."""
    if cluster.spec.storage.keep_when_deleted:
        return ()
    key = cluster.key
    return (
        (
            "pods",
            [_remnant(m) for m in await kube.list(Kind.STATEFULSET, *key) if _owned(m, cluster)],
        ),
        ("volume", [_remnant(m) for m in await kube.list(Kind.CLAIM, *key)]),
        ("secrets", await _unowned(cluster, kube)),
    )


def plan_deletion(
    cluster: Cluster, steps: Steps, now_ms: int
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
        if remnants:
            return Wait(step=step, message=f"waiting for {', '.join(one.name for one in remnants)}")
    return RemoveFinalizer()


async def _unowned(cluster: Cluster, kube: KubePort) -> list[Remnant]:
    """Return the Secrets and the document, which no owner takes along."""
    key = cluster.key
    wanted = [(Kind.SECRET, secret_name(key.name, purpose)) for purpose in _PURPOSES]
    found = []
    for kind, name in (*wanted, (Kind.CONFIG_MAP, key.topology_map)):
        try:
            live = await kube.get(kind, key.namespace, name)
        except NotFoundError:
            continue
        if is_ours(live, cluster, owned=False):
            found.append(_remnant(live))
    return found


def _owned(live: Json, cluster: Cluster) -> bool:
    return is_ours(live, cluster, owned=True)


def _remnant(live: Json) -> Remnant:
    metadata = live["metadata"]
    return Remnant(
        kind=kind_of(live),
        name=metadata["name"],
        uid=metadata["uid"],
        terminating="deletionTimestamp" in metadata,
    )
