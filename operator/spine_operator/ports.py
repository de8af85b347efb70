"""The operator's ports: Kubernetes, nodes, time and entropy.

Objects are plain dicts, as JSON. An absence is only ever a `NotFoundError`; everything that could not
be seen is another `KubeError` or a `NodeError`, and is never taken for an absence.
The promises of `KubePort` are tests/contract/kube_port.py: what stands in no test there may not be
relied on.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from spine_core.errors import SpineError
from spine_core.topology.document import Document

Json = Mapping[str, Any]
Entropy = Callable[[int], bytes]  # so many random bytes


class Kind(StrEnum):
    """The kinds that the operator touches, and no others: apiVersion/Kind."""

    CLUSTER = "memoryspine.io/v1alpha1/MemorySpineCluster"
    STATEFULSET = "apps/v1/StatefulSet"
    POD = "v1/Pod"
    CLAIM = "v1/PersistentVolumeClaim"
    SERVICE = "v1/Service"
    CONFIG_MAP = "v1/ConfigMap"
    SECRET = "v1/Secret"  # noqa: S105 - the name of a kind
    BUDGET = "policy/v1/PodDisruptionBudget"
    NETWORK_POLICY = "networking.k8s.io/v1/NetworkPolicy"
    EVENT = "events.k8s.io/v1/Event"
    LEASE = "coordination.k8s.io/v1/Lease"


def kind_of(manifest: Json) -> Kind:
    """Return the kind of an object that carries its apiVersion."""
    return Kind(f"{manifest['apiVersion']}/{manifest['kind']}")


class KubeError(SpineError):
    """Kubernetes did not do or show what was asked; nothing is known about the object."""

    def __init__(self, detail: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(detail)
        self.retry_after_s = retry_after_s


class NotFoundError(KubeError):
    """Kubernetes says that there is no such object (or, on a deletion, none with that UID)."""


class ConflictError(KubeError):
    """The object exists already, has moved on, or is another one than was meant."""


class ForbiddenError(KubeError):
    """Our rights do not cover this call."""


class RefusedError(KubeError):
    """Kubernetes finds the object invalid: the same call will never succeed."""


class NodeError(SpineError):
    """A node did not answer as it should. It may be up or down: nothing is known.

    `code` is the problem's code when the node gave one, as `epoch-conflict`.
    """

    def __init__(self, detail: str, *, code: str | None = None) -> None:
        super().__init__(detail)
        self.code = code


class KubePort(Protocol):
    """Kubernetes, for one operator. Every method raises `KubeError`."""

    async def get(self, kind: Kind, namespace: str, name: str) -> Json:
        """Return one object, from the API server and no cache."""

    async def list(self, kind: Kind, namespace: str, cluster: str) -> Sequence[Json]:
        """Return all objects of a kind that carry the label of this cluster."""

    async def create(self, manifest: Json) -> Json:
        """Create an object. `ConflictError` when the name is taken."""

    async def apply(self, manifest: Json) -> Json:
        """Apply the fields we own, by force; those of others stay.

        With a `resourceVersion` in it: `ConflictError` unless the object still has it.
        """

    async def patch(self, kind: Kind, namespace: str, name: str, patch: Json) -> Json:
        """Merge `patch` into the object.

        With a `resourceVersion` in its metadata: `ConflictError` unless the object still has it. With a
        `uid` there: `RefusedError` unless it is the object's.
        """

    async def patch_status(self, namespace: str, name: str, status: Json) -> None:
        """Replace the status of a custom resource, field by field; None takes a field away."""

    async def replace(self, manifest: Json) -> Json:
        """Replace an object that has not changed since it was read (`ConflictError`)."""

    async def delete(self, kind: Kind, namespace: str, name: str, *, uid: str) -> None:
        """Delete the object with this UID; another one of that name is a `ConflictError`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeEndpoint:
    """How to reach the admin plane of one node."""

    seat: str
    url: str  # scheme, host and port
    server_name: str  # what its certificate stands for
    authority: str | None  # PEM; None: no TLS
    token: str


class NodesPort(Protocol):
    """The admin plane of the nodes. Every method raises `NodeError` after two seconds at most."""

    async def status(self, endpoint: NodeEndpoint) -> Json:
        """`GET status`: the node's report, not yet parsed."""

    async def adopt(self, endpoint: NodeEndpoint, store_id: str, document: Document) -> None:
        """`PUT topology`: returns after the store with this id has durably adopted the document."""

    async def set_pace(
        self, endpoint: NodeEndpoint, store_id: str, *, bytes_per_s: int, slots: int
    ) -> None:
        """`PUT pace`: bound the pulls of the node; 0 slots suspend those of a change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """All ports of the operator, so that a test can put fakes there."""

    kube: KubePort
    nodes: NodesPort
    now_ms: Callable[[], int]  # since 1970
    entropy: Entropy
    lease_held: Callable[[], bool]
    address_of: Callable[[str], str | None]  # seat → other host:port, for nodes outside the cluster
    node_image: str  # repository of the nodes' image where the spec names none
