"""The conditions of the status, each from one table of reasons. Pure.

Reasons are closed (operator.md §10). `lastTransitionTime` is not decided here: status.py copies it as long as the status stays the same.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from spine_core.planning.actions import Blocked, Done, Wait
from spine_core.scalars import StoreNumber
from spine_operator.observe.observed import Observed
from spine_operator.plan.actions import ReconcilePlan
from spine_operator.status.health import SlotHealth
from spine_operator.status.stalled import Stall, lost_quorum, stall_of

Truth = Literal["True", "False", "Unknown"]

_OPERATIONS: Final = {"join": "Joining", "drain": "Draining", "replace": "Replacing"}


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition of the status."""

    type: str
    status: Truth
    reason: str
    message: str


def conditions_of(
    observed: Observed, plan: ReconcilePlan, health: SlotHealth | None
) -> Iterator[Condition]:
    """Yield the conditions, those that are only shown while True at the end."""
    stalled = stall_of(observed, plan, health)
    available = _available(observed, health)
    replicated = _replicated(health)
    yield _ready(observed, plan, (available, replicated), stalled)
    yield available
    yield replicated
    yield _satisfied(observed, health)
    yield _config(observed)
    yield _certificates(observed)
    if stalled is not None:
        yield Condition("Stalled", "True", stalled.reason, stalled.message)
    elif not isinstance(plan.decision, Done | Blocked):
        yield Condition("Reconciling", "True", "Progressing", _doing(plan))
    outdated = outdated_pods(observed)
    if outdated:
        message = (
            f"{', '.join(outdated)} run an older pod template; this operator does not restart them:"
            " delete one pod at a time"
        )
        yield Condition("UpdatePending", "True", "TemplateChanged", message)
    if observed.cluster.spec.paused:
        yield Condition("Paused", "True", "Paused", "maintenance.paused is set: nothing is changed")


def stalled_conditions(stall: Stall) -> Iterator[Condition]:
    """Yield what is certain of a pass that could not observe."""
    yield _ready_stalled(stall)
    if stall.reason == "ConfigRefused":
        yield Condition("ConfigValid", "False", stall.reason, stall.message)
    yield Condition("Stalled", "True", stall.reason, stall.message)


def outdated_pods(observed: Observed) -> list[str]:
    """Return the pods that were made from another template than that of now."""
    return [
        seat
        for seat, pod in sorted(observed.pods.items())
        if (zone_set := observed.sets.get(pod.zone)) and pod.revision != zone_set.revision
    ]


def _ready(
    observed: Observed, plan: ReconcilePlan, needed: tuple[Condition, ...], stalled: Stall | None
) -> Condition:
    if stalled is not None:
        return _ready_stalled(stalled)
    for reason, message in _unfinished(observed, plan, needed):
        return Condition("Ready", "False", reason, message)
    assert observed.document is not None, "without one there is something unfinished"
    nodes = len(observed.document.current)
    return Condition("Ready", "True", "InForce", f"{nodes} nodes are members of one epoch")


def _ready_stalled(stall: Stall) -> Condition:
    return Condition("Ready", "False", "Stalled", f"{stall.reason}: {stall.message}")


def _unfinished(
    observed: Observed, plan: ReconcilePlan, needed: tuple[Condition, ...]
) -> Iterator[tuple[str, str]]:
    """Yield what keeps the spec from being in force, the most telling first."""
    document = observed.document
    if document is None:
        yield "Bootstrapping", _doing(plan)
        return
    if document.change is not None:
        yield _OPERATIONS[document.change.kind], _doing(plan)
    if isinstance(plan.decision, Blocked):
        yield "Blocked", _doing(plan)
    if not isinstance(plan.decision, Done):
        yield "Resizing", _doing(plan)
    yield from (("Blocked", one.message) for one in needed if one.status != "True")
    if outdated_pods(observed):
        yield "RollingOut", "pods of an older template are left"
    if not _one_config(observed):
        yield "Blocked", "nodes have not all read one configuration"


def _available(observed: Observed, health: SlotHealth | None) -> Condition:
    if health is None:
        return Condition("Available", "False", "Bootstrapping", "no topology document yet")
    if not health.unavailable_slots:
        return Condition("Available", "True", "InForce", "every slot reaches its quorums")
    if health.unseen:
        unseen = _seats(observed, health.unseen)
        return Condition("Available", "Unknown", "AdminUnreachable", f"no report from {unseen}")
    return Condition("Available", "False", "QuorumLost", lost_quorum(health))


def _replicated(health: SlotHealth | None) -> Condition:
    if health is None:
        return Condition("FullyReplicated", "False", "Bootstrapping", "no topology document yet")
    count = health.under_replicated_slots
    if not count:
        return Condition("FullyReplicated", "True", "InForce", "all replicas are in step")
    status: Truth = "Unknown" if health.unseen else "False"
    return Condition("FullyReplicated", status, "Degraded", f"{count} slots lack a replica in step")


def _satisfied(observed: Observed, health: SlotHealth | None) -> Condition:
    kind = "TopologySatisfied"
    if health is None:
        return Condition(kind, "False", "Bootstrapping", "no topology document yet")
    document = observed.document
    assert document is not None, "health was made from it"
    zones = {document.stores[number].zone for number in document.current.values()}
    listed = {zone.name for zone in observed.cluster.spec.zones if not zone.drain}
    if len(zones) < min(len(listed), len(document.current)):
        message = f"nodes stand in {len(zones)} of {len(listed)} zones"
        return Condition(kind, "False", "TooFewZones", message)
    if health.shared_slots:
        message = f"{health.shared_slots} slots have two replicas on one host"
        return Condition(kind, "False", "HostShared", message)
    return Condition(kind, "True", "InForce", f"nodes stand in {len(zones)} zones")


def _config(observed: Observed) -> Condition:
    if observed.refused:
        return Condition("ConfigValid", "False", "ConfigRefused", "; ".join(observed.refused))
    return Condition("ConfigValid", "True", "Accepted", "every field of the spec is understood")


def _certificates(observed: Observed) -> Condition:
    kind = "CertificatesValid"
    if observed.certificate_trouble:
        return Condition(kind, "False", "CertificateInvalid", observed.certificate_trouble)
    ended = sorted(name for name, end in observed.expiry_ms.items() if end <= observed.now_ms)
    if ended:
        return Condition(kind, "False", "CertificateInvalid", f"{', '.join(ended)} has expired")
    return Condition(kind, "True", "Accepted", "no certificate has expired")


def _one_config(observed: Observed) -> bool:
    """Return whether all members that report work with the same `config.yaml`."""
    assert observed.document is not None, "asked only with a document"
    reports = [observed.reports.get(seat) for seat in observed.document.current]
    return len({report.config_digest for report in reports if report is not None}) <= 1


def _doing(plan: ReconcilePlan) -> str:
    match plan.decision:
        case Wait(message=message, done=done, total=total):
            return f"{message} ({done}/{total})" if total else message
        case Blocked(guard=guard, message=message):
            return f"{guard}: {message}"
        case Done():
            return "nothing to do"
        case action:
            return f"doing: {action.step}"


def _seats(observed: Observed, stores: frozenset[StoreNumber]) -> str:
    assert observed.document is not None, "stores have numbers only in a document"
    return ", ".join(sorted(observed.document.stores[number].seat for number in stores))
