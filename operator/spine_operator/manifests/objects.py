"""What every child object has in common: identity, labels, owner. Pure."""

from collections.abc import Mapping
from typing import Any

from spine_operator.naming import CLUSTER_LABEL, GROUP, INSTANCE_LABEL, labels
from spine_operator.ports import Json
from spine_operator.resource.spec import ClusterResource, ResourceIdentity

Manifest = dict[str, Any]

API_VERSION = f"{GROUP}/v1alpha1"
KIND = "MemorySpineCluster"


def owner(cluster: ClusterResource) -> Manifest:
    """Return the reference by which Kubernetes collects a child when the custom resource is gone."""
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "name": cluster.key.name,
        "uid": cluster.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def child(
    cluster: ClusterResource, kind: str, name: str, component: str, *, owned: bool = True
) -> Manifest:
    """Return a child without content. What is not owned outlives the custom resource.

    It does not carry the instance label either: Argo CD, where an application has the name of the
    cluster, takes an object with that label and without an owner for its own and prunes it.
    """
    api_version, _, bare_kind = kind.rpartition("/")
    metadata: Manifest = {
        "name": name,
        "namespace": cluster.key.namespace,
        "labels": labels(cluster.key.name, component),
    }
    if owned:
        metadata["ownerReferences"] = [owner(cluster)]
    else:
        del metadata["labels"][INSTANCE_LABEL]
    return {"apiVersion": api_version, "kind": bare_kind, "metadata": metadata}


def with_labels(manifest: Manifest, more: Mapping[str, str]) -> Manifest:
    """Return the manifest with further labels."""
    metadata = manifest["metadata"]
    return {**manifest, "metadata": {**metadata, "labels": {**metadata["labels"], **more}}}


def is_ours(live: Json, cluster: ResourceIdentity, *, owned: bool) -> bool:
    """Return whether an object belongs to this cluster and, where it has an owner, to this resource."""
    metadata = live["metadata"]
    if metadata.get("labels", {}).get(CLUSTER_LABEL) != cluster.key.name:
        return False
    owners = [o["uid"] for o in metadata.get("ownerReferences", ()) if o.get("controller")]
    return owners == ([cluster.uid] if owned else [])
