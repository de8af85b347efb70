"""Builds the whole status anew in each reconcile pass. Pure. No decision reads it.

Times come from outside (the document's history); only `lastTransitionTime` is copied from the status
before, while its condition stays the same. Nothing here moves by itself, so that a cluster at rest
gets no writes.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from spine_core.planning.actions import Blocked, Done
from spine_core.planning.reports import Report
from spine_core.planning.wanted import Wanted
from spine_core.topology.document import Document
from spine_operator.naming import selector
from spine_operator.observe.observed import Observed
from spine_operator.plan.actions import ReconcilePlan
from spine_operator.plan.volumes import leftover_claims
from spine_operator.ports import Json
from spine_operator.resource.quantities import quantity_of
from spine_operator.status.conditions import (
    Condition,
    conditions_of,
    outdated_pods,
    stalled_conditions,
)
from spine_operator.status.health import SlotHealth, health_of
from spine_operator.status.rows import node_rows, zone_rows
from spine_operator.status.stalled import Stall

_OPERATIONS = {"join": "Join", "drain": "Drain", "replace": "Replace"}
TARGETS_MAX, KEPT_MAX = 64, 128  # as many as the CRD's lists hold
_POINT_OF_NO_RETURN = ("commit", "settle", "shrink", "volume")


def build_status(
    observed: Observed, wanted: Wanted, plan: ReconcilePlan, before: Json
) -> dict[str, Any]:
    """Return the status; `before` is that of the resource as it was read."""
    health = health_of(observed)
    cluster, document = observed.cluster, observed.document
    pods = observed.pods.values()
    status = {
        "observedGeneration": cluster.generation,
        "selector": ",".join(f"{k}={v}" for k, v in sorted(selector(cluster.key.name).items())),
        "replicas": len(observed.pods),
        "readyReplicas": sum(pod.ready for pod in pods),
        "joinedReplicas": _joined(document, health),
        "updatedReplicas": len(observed.pods) - len(outdated_pods(observed)),
        "currentVersion": _lowest_version(observed.reports.values()),
        "targetVersion": cluster.spec.version,
        "image": observed.image,
        "topology": _topology(document, health) if document and health else None,
        "zones": list(zone_rows(observed, wanted)),
        "nodes": list(node_rows(observed)),
        "operation": _operation(observed, wanted, plan),
        "rebalance": _rebalance(observed),
        "storage": _storage(observed, wanted),
        "certificates": [
            {"secretName": f"{cluster.key.name}-{purpose}", "notAfter": format_time(end)}
            for purpose, end in sorted(observed.expiry_ms.items())
        ],
        "conditions": list(_conditions(observed, plan, health, before)),
    }
    return {name: value for name, value in status.items() if value is not None}


def stalled_status(before: Json, stall: Stall, generation: int, now_ms: int) -> dict[str, Any]:
    """Return the status of a pass that could not observe; what it does not know stays as it was."""
    said = {condition.type: condition for condition in stalled_conditions(stall)}
    known = {one["type"]: one for one in before.get("conditions", ())}
    kept = [one for kind, one in known.items() if kind not in (*said, "Reconciling")]
    told = [_as_json(condition, known, generation, now_ms) for condition in said.values()]
    return {**before, "observedGeneration": generation, "conditions": [*told, *kept]}


def is_ready(status: Json) -> bool:
    """Whether the spec is in force."""
    return any(one["type"] == "Ready" and one["status"] == "True" for one in status["conditions"])


def merge_patch(before: Json, after: Json) -> dict[str, Any]:
    """Return the merge patch that turns one object into the other; empty when they are equal."""
    patch: dict[str, Any] = {name: None for name in before if name not in after}
    for name, value in after.items():
        old = before.get(name)
        if isinstance(old, Mapping) and isinstance(value, Mapping):
            inner = merge_patch(old, value)
            patch |= {name: inner} if inner else {}
        elif old != value:
            patch[name] = value
    return patch


def format_time(time_ms: int) -> str:
    """Return a time as Kubernetes writes it."""
    return datetime.fromtimestamp(time_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _conditions(
    observed: Observed, plan: ReconcilePlan, health: SlotHealth | None, before: Json
) -> Iterator[dict[str, Any]]:
    known = {one["type"]: one for one in before.get("conditions", ())}
    for condition in conditions_of(observed, plan, health):
        yield _as_json(condition, known, observed.cluster.generation, observed.now_ms)


def _as_json(
    condition: Condition, known: Mapping[str, Json], generation: int, now_ms: int
) -> dict[str, Any]:
    old = known.get(condition.type, {})
    kept = old.get("status") == condition.status
    return {
        "type": condition.type,
        "status": condition.status,
        "reason": condition.reason,
        "message": condition.message[:4096],
        "observedGeneration": generation,
        "lastTransitionTime": old["lastTransitionTime"] if kept else format_time(now_ms),
    }


def _topology(document: Document, health: SlotHealth) -> dict[str, Any]:
    change = document.change
    topology: dict[str, Any] = {
        "clusterId": document.cluster_id,
        "epoch": document.epoch,
        "phase": document.phase.value,
        "agreedBy": len(health.acked),
        "stores": len(document.members()),
        "underReplicatedSlots": health.under_replicated_slots,
        "belowQuorumSlots": health.unavailable_slots,
    }
    if change is not None:
        topology["change"] = {"id": change.id, "kind": change.kind, "seats": _moving(document)}
    return topology


def _operation(observed: Observed, wanted: Wanted, plan: ReconcilePlan) -> dict[str, Any] | None:
    if isinstance(plan.decision, Done):
        return None
    document = observed.document
    step = str(plan.decision.step)
    operation: dict[str, Any] = {
        "type": _operation_type(document, wanted),
        "step": step,
        "targets": _targets(document, wanted)[:TARGETS_MAX],
        "cancellable": step not in _POINT_OF_NO_RETURN,
    }
    if document is not None and document.change is not None:
        operation["startedAt"] = format_time(document.history[-1].started_ms)
    if isinstance(plan.decision, Blocked):
        operation["blockedBy"] = {
            "check": str(plan.decision.guard),
            "verdict": type(plan.decision.verdict).__name__,
            "message": plan.decision.message[:1024],
        }
    return operation


def _operation_type(document: Document | None, wanted: Wanted) -> str:
    if document is None:
        return "Bootstrap"
    if document.change is not None:
        return _OPERATIONS[document.change.kind]
    if wanted.seats.keys() == document.current.keys():  # what is left of the last change, if any
        return _OPERATIONS[document.history[-1].kind] if document.history else "Bootstrap"
    return "Join" if wanted.seats.keys() - document.current.keys() else "Drain"


def _targets(document: Document | None, wanted: Wanted) -> list[str]:
    if document is None:
        return sorted(wanted.seats)
    if document.change is not None:
        return _moving(document)
    return sorted(wanted.seats.keys() ^ document.current.keys())


def _moving(document: Document) -> list[str]:
    return sorted({seat for seat, _ in document.target.items() ^ document.current.items()})


def _rebalance(observed: Observed) -> dict[str, Any]:
    if observed.document is None or observed.document.change is None:
        return {"state": "Idle"}
    moves = [r.change for r in observed.reports.values() if r is not None and r.change is not None]
    bytes_total = sum(move.bytes_total for move in moves)
    held = sum(report.disk_used for report in observed.reports.values() if report is not None)
    return {
        "state": "Suspended" if observed.cluster.spec.rebalance.suspend else "Running",
        "slotsMoved": sum(len(move.pulled) for move in moves),
        "slotsTotal": sum(move.gained for move in moves),
        "bytesMoved": sum(move.bytes_done for move in moves),
        "bytesTotal": bytes_total,
        "movedFraction": f"{bytes_total / held:.2f}" if held else "0.00",
    }


def _storage(observed: Observed, wanted: Wanted) -> dict[str, Any]:
    sizes = [claim.size for claim in observed.claims.values()]
    storage: dict[str, Any] = {}
    if sizes:
        storage["largestProvisioned"] = max(sizes, key=quantity_of)
    if observed.document is not None:
        storage["kept"] = [
            {"claim": claim.name}
            | (
                {"deleteAfter": format_time(claim.delete_after_s * 1000)}
                if claim.delete_after_s
                else {}
            )
            for claim in islice(leftover_claims(observed, wanted, observed.document), KEPT_MAX)
        ]
    return storage


def _joined(document: Document | None, health: SlotHealth | None) -> int:
    if document is None or health is None:
        return 0
    return len(frozenset(document.current.values()) & health.acked)


def _lowest_version(reports: Iterable[Report | None]) -> str | None:
    versions = [report.version for report in reports if report and report.version]
    return min(versions, key=_version_order, default=None)


def _version_order(version: str) -> tuple[list[int], str]:
    numbers, _, suffix = version.partition("-")
    return [int(part) for part in numbers.split(".") if part.isdigit()], suffix
