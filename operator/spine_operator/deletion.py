"""The end of a custom resource (operator.md §7.8): keep everything, or delete in a safe order.

Retain: only the finalizer goes; Kubernetes then collects what the resource owns, and claims, Secrets
and document stay for a resource of the same name. Delete: StatefulSets, then claims, then Secrets and
document; what is on its way out holds nothing up, so a dead host leaves no document behind that names
volumes which go. No node is asked. A deletion never hangs: after `LIMIT_S` the finalizer goes whatever
is left.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from spine_operator.children import is_ours
from spine_operator.decisions import DeleteChild, RemoveFinalizer, Wait
from spine_operator.manifests.naming import ClusterKey
from spine_operator.manifests.secret import secret_name
from spine_operator.ports import Json, Kind, KubePort, NotFoundError, kind_of
from spine_operator.spec import Identity

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


async def observe_remnants(cluster: Identity, kube: KubePort) -> Steps:
    """Return what is left of a cluster that is being deleted. Raises `KubeError`."""
    if cluster.keep_when_deleted:
        return ()
    key = cluster.key
    sets = await kube.list(Kind.STATEFULSET, *key)
    claims = await kube.list(Kind.CLAIM, *key)
    return (
        ("pods", [_remnant(m) for m in sets if is_ours(m, cluster, owned=True)]),
        ("volume", [_remnant(m) for m in claims if _is_of_a_seat(m, key)]),
        ("secrets", await _unowned(cluster, kube)),
    )


def plan_deletion(
    cluster: Identity, steps: Steps, now_ms: int
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
        return Wait(step="finalizer", message=f"waiting for {', '.join(left)}")
    return RemoveFinalizer()


async def _unowned(cluster: Identity, kube: KubePort) -> list[Remnant]:
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


def _is_of_a_seat(claim: Json, key: ClusterKey) -> bool:
    """Whether a claim is called like ours: others may carry the cluster's label too."""
    return key.zone_of(key.seat_of_claim(claim["metadata"]["name"])) is not None


def _remnant(live: Json) -> Remnant:
    metadata = live["metadata"]
    return Remnant(
        kind=kind_of(live),
        name=metadata["name"],
        uid=metadata["uid"],
        terminating="deletionTimestamp" in metadata,
    )
