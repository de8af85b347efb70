"""Names, labels and addresses of everything that belongs to one cluster.

`C` is the custom resource's name, `Z` a zone's. A pod's name is its seat: `C-Z-n`.
Source: operator.md §4.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

GROUP = "memoryspine.io"
INSTANCE_LABEL = "app.kubernetes.io/instance"
FINALIZER = f"{GROUP}/finalizer"
FIELD_MANAGER = "memoryspine-operator"
CLUSTER_LABEL = f"{GROUP}/cluster"
ZONE_LABEL = f"{GROUP}/zone"
REVISION_LABEL = f"{GROUP}/revision"
STORE_LABEL = f"{GROUP}/store"  # on claims: the id of the store that the volume holds
DELETE_AFTER_LABEL = f"{GROUP}/delete-after"  # on claims: seconds since 1970
PUBLISHED_ANNOTATION = f"{GROUP}/published-ms"  # on the document: when this epoch was stored
MANIFEST_ANNOTATION = f"{GROUP}/manifest"  # hash of what we applied last
OPERATOR_NAME = "memory-spine-operator"  # value of app.kubernetes.io/name on the operator's pods


class ClusterKey(NamedTuple):
    """The namespace and name of one custom resource."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"

    @property
    def headless_service(self) -> str:
        """The Service that gives every pod its DNS name."""
        return f"{self.name}-nodes"

    @property
    def client_host(self) -> str:
        """Host name of the Service that clients use."""
        return f"{self.name}.{self.namespace}.svc"

    @property
    def node_domain(self) -> str:
        """Domain under which each seat is a host name."""
        return f"{self.headless_service}.{self.namespace}.svc"

    @property
    def topology_map(self) -> str:
        """The ConfigMap that holds the topology document."""
        return f"{self.name}-topology"

    def statefulset(self, zone: str) -> str:
        """Name of the StatefulSet of a zone."""
        return f"{self.name}-{zone}"

    def claim(self, seat: str) -> str:
        """Name of the volume claim of a seat."""
        return f"data-{seat}"

    def zone_of(self, seat: str) -> str | None:
        """The zone in a seat's name; None when it is no name of a seat of this cluster."""
        found = re.fullmatch(rf"{re.escape(self.name)}-(.+)-\d+", seat)
        return found[1] if found else None

    def seat_of_claim(self, claim: str) -> str:
        """The seat whose volume a claim holds."""
        return claim.removeprefix("data-")


def selector(cluster: str) -> dict[str, str]:
    """Labels that find the pods of one cluster and no others."""
    return {"app.kubernetes.io/name": "memory-spine", CLUSTER_LABEL: cluster}


def labels(cluster: str, component: str, zone: str | None = None) -> dict[str, str]:
    """Labels of every child object."""
    return {
        **selector(cluster),
        INSTANCE_LABEL: cluster,
        "app.kubernetes.io/managed-by": FIELD_MANAGER,
        "app.kubernetes.io/component": component,
        **({ZONE_LABEL: zone} if zone is not None else {}),
    }


def digest(value: Mapping[str, Any]) -> str:
    """Twelve hex digits that change when the value does; key order does not count."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]
