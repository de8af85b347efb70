"""Refuses, by their path, fields of the custom resource that this operator does not implement yet.

A field passes with its CRD default (a test holds the two equal), since the default asks for nothing.
Source: operator.md §11, "a field that the running operator does not implement".
"""

from collections.abc import Mapping
from typing import Any, Final

# path under `spec` → the values that ask for nothing
UNBUILT: Final[Mapping[str, tuple[object, ...]]] = {
    "region.name": (None,),
    "region.number": (0,),
    "peers": ([],),
    "backup": (None,),
    "maintenance.hibernate": (False,),
    "monitoring.serviceMonitor": ("Auto", "Disabled"),
    "monitoring.labels": (None,),
    "security.tls.mode": ("OperatorManaged", "Disabled"),
    "rebalance.mode": ("Automatic",),
    "rebalance.approvedPlan": (None,),
    "repair.schedule": ("0 2 * * 0", ""),
    "repair.timeZone": ("Etc/UTC",),
    "repair.suspend": (False, True),
    "repair.maxAge": ("240h",),
    "retention.tombstoneGrace": ("24h",),
    "retention.pruning.mode": ("Disabled",),
    "retention.consolidation.mode": ("Disabled",),
    "retention.compactionSchedule": ("",),
    "rollout.onOperatorUpgrade": ("Hold",),
    "rollout.restartToken": (None,),
    "rollout.minReadySeconds": (15,),
    "rollout.progressDeadline": ("20m",),
    "healing.mode": ("Automatic", "Manual"),
    "healing.replaceAfter": ("30m",),
    "healing.maxReplacementsPerDay": (3,),
    "healing.replace": ([],),
    "healing.acceptDataLossFor": ([],),
}

# What the operator itself puts into the nodes' environment, or says under another name.
OWNED_SETTINGS: Final = frozenset(
    {
        "SPINE_ADMIN_TOKEN_FILE",
        "SPINE_AUTH",
        "SPINE_CLUSTER",
        "SPINE_CLUSTER_NAME",
        "SPINE_CLUSTER_SECRET_FILE",
        "SPINE_CONFIG_FILE",
        "SPINE_DATA",
        "SPINE_HOST",
        "SPINE_KEYS",
        "SPINE_KEYS_FILE",
        "SPINE_NODE",
        "SPINE_PARTITION_STRATEGY",
        "SPINE_PEERS_DIR",
        "SPINE_PORT",
        "SPINE_REGION_NAME",
        "SPINE_REGION_NUMBER",
        "SPINE_SEAT",
        "SPINE_TLS",
        "SPINE_TLS_DIR",
    }
)


def value_at(spec: Mapping[str, Any], path: str) -> Any:
    """Return what stands at a dotted path, None when nothing does."""
    value: Any = spec
    for name in path.split("."):
        if value is None:
            return None
        value = value.get(name)
    return value


def refused_fields(spec: Mapping[str, Any]) -> list[str]:
    """Return why each refused field of a defaulted `spec` is refused, in a stable order."""
    refused = [
        f"spec.{path}: this operator does not implement {value_at(spec, path)!r}"
        for path, nothing in UNBUILT.items()
        if value_at(spec, path) not in nothing
    ]
    owned = sorted(OWNED_SETTINGS & set(spec.get("settings", {})))
    return refused + [f"spec.settings.{name}: the operator sets this" for name in owned]
