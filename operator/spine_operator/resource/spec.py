"""Parses the custom resource into frozen values. Nothing behind this module sees its JSON.

No default stands here: the API server filled them in from the CRD's schema, so a missing field is a
broken object (`InvalidInputError`), not an occasion to guess. Durations are seconds, sizes bytes
unless the text itself goes on to Kubernetes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from spine_core import defaults
from spine_core.errors import InvalidInputError
from spine_operator.naming import FINALIZER, ClusterKey
from spine_operator.resource.quantities import bytes_of, seconds_of

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ZoneSpec:
    """A zone that nodes may stand in."""

    name: str
    node_selector: Mapping[str, str]  # of Kubernetes nodes; empty: any
    nodes: int | None  # None: an even share of the whole
    drain: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSpec:
    """What the nodes run; `repository` None is the operator's default."""

    repository: str | None
    digest: str | None
    pull_policy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicationSpec:
    """How many replicas a slot has, and how many must answer."""

    factor: int
    write_quorum: int
    read_quorum: int
    zone_policy: Literal["strict", "balanced", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageSpec:
    """The volumes."""

    size: str
    class_name: str | None
    keep_when_scaled_down: bool
    keep_for_s: int  # before a retired volume is deleted


@dataclass(frozen=True, slots=True, kw_only=True)
class PodSpec:
    """The parts of the pods that the spec decides."""

    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    priority_class: str | None
    pull_secrets: tuple[str, ...]
    tolerations: tuple[Json, ...]
    resources: Json
    require_host_spread: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RebalanceSpec:
    """How data may move."""

    suspend: bool
    nodes_per_change: int
    bytes_per_s: int  # of all pulls of one node
    stall_timeout_s: int
    min_free_disk_percent: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessSpec:
    """Who may connect, and how."""

    tls: bool
    extra_names: tuple[str, ...]  # of the nodes' certificate
    keys: bool  # API keys are asked for
    keys_secret: str | None  # None: the generated one
    network_policy: bool
    allow_from: tuple[Json, ...]
    service_type: str
    service_annotations: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """Everything the operator reads from a spec."""

    nodes: int
    version: str
    image: ImageSpec
    zones: tuple[ZoneSpec, ...]  # never empty: the implicit zone stands for an empty list
    replication: ReplicationSpec
    virtual_nodes: int
    partition_strategy: str
    settings: Mapping[str, str]  # the nodes' environment
    config: Json  # sections of `config.yaml`, what nodes read again while they run
    storage: StorageSpec
    pod: PodSpec
    rebalance: RebalanceSpec
    access: AccessSpec
    paused: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceIdentity:
    """Which custom resource it is: known even when its spec cannot be read."""

    key: ClusterKey
    uid: str
    resource_version: str
    generation: int
    deleted_ms: int | None  # when its deletion was asked for
    finalizers: tuple[str, ...]
    keep_when_deleted: bool  # volumes, Secrets and document

    @property
    def held(self) -> bool:
        """Whether our finalizer is on it, so that it cannot be gone before we have seen its deletion."""
        return FINALIZER in self.finalizers


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterResource(ResourceIdentity):
    """One custom resource as it was read."""

    spec: Spec


def parse_identity(resource: Json) -> ResourceIdentity:
    """Parse what a MemorySpineCluster has even when its spec cannot be read. In doubt its data is kept."""
    return ResourceIdentity(**_identity(resource))


def parse_cluster(resource: Json) -> ClusterResource:
    """Parse a MemorySpineCluster as the API server returns it.

    Raises:
        InvalidInputError: a field is missing or malformed; its path says which.
    """
    try:
        spec = parse_spec(resource["spec"])
    except KeyError as error:
        raise InvalidInputError("the API server sent no value", path=f"spec: {error}") from error
    return ClusterResource(**_identity(resource), spec=spec)


def _identity(resource: Json) -> dict[str, Any]:
    meta = resource["metadata"]
    deleted = meta.get("deletionTimestamp")
    return {
        "key": ClusterKey(meta["namespace"], meta["name"]),
        "uid": meta["uid"],
        "resource_version": meta["resourceVersion"],
        "generation": meta["generation"],
        "deleted_ms": parse_time(deleted) if deleted else None,
        "finalizers": tuple(meta.get("finalizers", ())),
        "keep_when_deleted": resource["spec"]["storage"].get("whenDeleted") != "Delete",
    }


def parse_time(text: str) -> int:
    """Return a Kubernetes time in milliseconds since 1970."""
    return int(datetime.fromisoformat(text).timestamp() * 1000)


def parse_spec(spec: Json) -> Spec:
    """Parse a defaulted `spec`.

    Raises:
        KeyError: a field that has a default is missing.
        InvalidInputError: a quantity or duration is malformed.
    """
    return Spec(
        nodes=spec["replicas"],
        version=spec["version"],
        image=ImageSpec(
            repository=spec["image"].get("repository"),
            digest=spec["image"].get("digest"),
            pull_policy=spec["image"]["pullPolicy"],
        ),
        zones=_zones(spec["topology"]),
        replication=ReplicationSpec(
            factor=spec["replication"]["factor"],
            write_quorum=spec["replication"]["writeQuorum"],
            read_quorum=spec["replication"]["readQuorum"],
            zone_policy=spec["replication"]["zonePolicy"],
        ),
        virtual_nodes=spec["partitioning"]["virtualNodes"],
        partition_strategy=spec["partitioning"]["strategy"],
        settings=dict(spec.get("settings", {})),
        config=_config(spec),
        storage=_storage(spec["storage"]),
        pod=_pod(spec),
        rebalance=_rebalance(spec["rebalance"]),
        access=_access(spec),
        paused=spec["maintenance"]["paused"],
    )


def _zones(topology: Json) -> tuple[ZoneSpec, ...]:
    label = topology["topologyKey"]
    zones = tuple(
        ZoneSpec(
            name=zone["name"],
            node_selector=zone.get("nodeSelector", {label: zone["name"]}),
            nodes=zone.get("replicas"),
            drain=zone.get("drain", False),
        )
        for zone in topology["zones"]
    )
    return zones or (ZoneSpec(name=defaults.ZONE, node_selector={}, nodes=None, drain=False),)


def _config(spec: Json) -> Json:
    return {
        "replication": {"read_quorum": spec["replication"]["readQuorum"]},
        "consistency": {
            "default": spec["consistency"]["default"],
            "overrides": spec["consistency"]["overrides"],
        },
    }


def _storage(storage: Json) -> StorageSpec:
    return StorageSpec(
        size=str(storage["size"]),
        class_name=storage.get("storageClassName"),
        keep_when_scaled_down=storage["whenScaledDown"] == "Retain",
        keep_for_s=seconds_of(storage["keepFor"]),
    )


def _pod(spec: Json) -> PodSpec:
    pod = spec["pod"]
    return PodSpec(
        labels=pod.get("labels", {}),
        annotations=pod.get("annotations", {}),
        priority_class=pod.get("priorityClassName"),
        pull_secrets=tuple(pod.get("imagePullSecrets", ())),
        tolerations=tuple(pod.get("tolerations", ())),
        resources=spec["resources"],
        require_host_spread=spec["topology"]["hostSpread"] == "Required",
    )


def _rebalance(rebalance: Json) -> RebalanceSpec:
    return RebalanceSpec(
        suspend=rebalance["suspend"],
        nodes_per_change=rebalance["maxNodesPerChange"],
        bytes_per_s=bytes_of(rebalance["bandwidthPerNode"]),
        stall_timeout_s=seconds_of(rebalance["stallTimeout"]),
        min_free_disk_percent=rebalance["minFreeDiskPercent"],
    )


def _access(spec: Json) -> AccessSpec:
    security, service, policy = spec["security"], spec["service"], spec["networkPolicy"]
    return AccessSpec(
        tls=security["tls"]["mode"] != "Disabled",
        extra_names=tuple(security["tls"].get("extraDNSNames", ())),
        keys=security["auth"]["mode"] != "Disabled",
        keys_secret=security["auth"].get("credentialsSecretName"),
        network_policy=policy["mode"] == "Managed",
        allow_from=tuple(policy["allowFrom"]),
        service_type=service["type"],
        service_annotations=service.get("annotations", {}),
    )
