"""Answers of the cluster end points and probes, as types for the OpenAPI document only."""

from datetime import datetime
from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from spine_core.api_keys import Scope
from spine_core.records.ids import PartitionStrategy
from spine_node.http.schema import Model

NodeStatus = Literal["starting", "ok", "suspect", "down", "draining", "full", "skewed", "isolated"]


class Replication(Struct, kw_only=True):
    """How many copies, how many must answer."""

    factor: int | UnsetType = UNSET
    write_quorum: int | UnsetType = UNSET
    read_quorum: int | UnsetType = UNSET


class TagOverride(Struct, forbid_unknown_fields=True, kw_only=True):
    """A record with any of the tags gets at least this model."""

    tags: Annotated[list[str], Meta(min_length=1, max_length=32)]
    model: Model


class ConsistencyPolicy(Struct, kw_only=True):
    """Which model a request gets."""

    default: Model | UnsetType = UNSET
    overrides: list[TagOverride] | UnsetType = UNSET


class Partitioning(Struct, kw_only=True):
    """How records are spread."""

    strategy: PartitionStrategy | UnsetType = UNSET
    virtual_nodes: int | UnsetType = UNSET
    slots: Literal[4096] | UnsetType = UNSET


class NodeView(Struct, kw_only=True):
    """One node as this node sees it."""

    id: str
    zone: str
    role: Literal["primary"] | UnsetType = UNSET
    status: NodeStatus
    slots: int | UnsetType = UNSET
    records: int | UnsetType = UNSET
    disk_used_ratio: float | UnsetType = UNSET
    read_p99_ms: float | UnsetType = UNSET
    replication_lag_seconds: float | UnsetType = UNSET


class Cluster(Struct, kw_only=True):
    """Read-only view of this node."""

    name: str
    version: str
    epoch: int
    phase: Literal["prepare", "switch", "stable"]
    replication: Replication
    consistency: ConsistencyPolicy
    partitioning: Partitioning
    nodes: list[NodeView]
    limits: dict[str, int]
    slots: Annotated[list[list[int]], Meta(max_length=4096)] | UnsetType = UNSET


class Caller(Struct, kw_only=True):
    """The caller, as the node sees it."""

    subject: str
    auth: Literal["api-key", "oidc", "none"]
    key_id: str | UnsetType = UNSET
    scopes: list[Scope]
    namespaces: list[str]
    not_after: datetime | UnsetType | None = UNSET


class HealthStatus(Struct, kw_only=True):
    """State of this node."""

    status: str
    reasons: list[str] | UnsetType = UNSET
