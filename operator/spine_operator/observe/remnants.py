"""What is left of a cluster whose custom resource is being deleted.

It is asked of Kubernetes only: no node is, and the spec may be one that cannot be read.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from spine_core.planning.actions import Step
from spine_operator.manifests.objects import is_ours
from spine_operator.manifests.secret import secret_name
from spine_operator.naming import ClusterKey
from spine_operator.ports import Json, Kind, KubePort, NotFoundError, kind_of
from spine_operator.resource.spec import ResourceIdentity

_PURPOSES = ("client", "tls", "ca", "admin", "cluster")


@dataclass(frozen=True, slots=True, kw_only=True)
class Remnant:
    """An object of ours that still exists."""

    kind: Kind
    name: str
    uid: str
    terminating: bool


Steps = Sequence[tuple[Step, Sequence[Remnant]]]  # what has to be gone, step by step


async def observe_remnants(cluster: ResourceIdentity, kube: KubePort) -> Steps:
    """Return what is left of a cluster that is being deleted. Raises `KubeError`."""
    if cluster.keep_when_deleted:
        return ()
    key = cluster.key
    sets = await kube.list(Kind.STATEFULSET, *key)
    claims = await kube.list(Kind.CLAIM, *key)
    return (
        (Step.PODS, [_remnant(m) for m in sets if is_ours(m, cluster, owned=True)]),
        (Step.VOLUME, [_remnant(m) for m in claims if _is_of_a_seat(m, key)]),
        (Step.SECRETS, await _unowned(cluster, kube)),
    )


async def _unowned(cluster: ResourceIdentity, kube: KubePort) -> list[Remnant]:
    """Return the Secrets and the document, which have no owner and so are not collected."""
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
    """Return whether a claim is named like ours: others may carry the cluster's label too."""
    return key.zone_of(key.seat_of_claim(claim["metadata"]["name"])) is not None


def _remnant(live: Json) -> Remnant:
    metadata = live["metadata"]
    return Remnant(
        kind=kind_of(live),
        name=metadata["name"],
        uid=metadata["uid"],
        terminating="deletionTimestamp" in metadata,
    )
