"""Decides when only a person can help: the reasons of `Stalled`, one runbook each. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from spine_core.planning.actions import Blocked, Wait
from spine_core.planning.guards import Block, Guard
from spine_operator.observe.observed import Observed
from spine_operator.plan.actions import ReconcilePlan
from spine_operator.status.health import SlotHealth

REASONS: Final = (
    "CertificateInvalid",
    "ChangeStalled",
    "ConfigRefused",
    "DataLossRisk",
    "DocumentConflict",
    "DocumentLost",
    "ImagePullFailed",
    "NamesTaken",
    "NotEnoughDisk",
    "NotEnoughZones",
    "OperatorForbidden",
    "PodsNotScheduled",
    "QuorumLost",
    "StoreLost",
    "VolumeRetained",
)
REASON_OF: Final[Mapping[Guard, str]] = {  # every guard that needs a person
    Guard.CERTIFICATES_VALID: "CertificateInvalid",
    Guard.CONFIG_VALID: "ConfigRefused",
    Guard.DOCUMENT_WHOLE: "DocumentConflict",  # without a document: DocumentLost
    Guard.NAMES_FREE: "NamesTaken",
    Guard.NOT_BUILT: "StoreLost",
    Guard.PLACEMENT_POSSIBLE: "NotEnoughZones",
    Guard.ROOM_FOR: "NotEnoughDisk",
    Guard.SOURCES: "DataLossRisk",
    Guard.VOLUME_FREE: "VolumeRetained",
}
SCHEDULING_MS: Final = 180_000  # by then an autoscaler has usually brought a host
_IMAGE_TROUBLE: Final = (
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "ErrImageNeverPull",
)


@dataclass(frozen=True, slots=True)
class Stall:
    """Why nothing goes on by itself."""

    reason: str
    message: str


def stall_of(observed: Observed, plan: ReconcilePlan, health: SlotHealth | None) -> Stall | None:
    """Return why only a person can help, None while the operator can go on."""
    decision = plan.decision
    if isinstance(decision, Blocked) and isinstance(decision.verdict, Block):
        reason = _reason_of(decision.guard, observed)
        if reason is not None:
            return Stall(reason, decision.message)
    silent = {seat: pod for seat, pod in observed.pods.items() if not observed.reports.get(seat)}
    for seat, pod in sorted(silent.items()):
        if pod.trouble in _IMAGE_TROUBLE:
            message = f"{seat}: {pod.trouble}; mend the image in the spec, then delete this pod"
            return Stall("ImagePullFailed", message)
        since_ms = pod.unscheduled_ms
        if since_ms is not None and observed.now_ms - since_ms > SCHEDULING_MS:
            return Stall("PodsNotScheduled", f"{seat} fits no host; describe the pod to see why")
    document = observed.document
    last = document.history[-1] if document and document.history else None
    if last and last.result == "reverted" and last.automatic and isinstance(decision, Wait):
        message = f"{last.id} moved nothing for too long and was taken back; it is tried again"
        return Stall("ChangeStalled", message)
    if health is not None and health.unavailable_slots and not health.unseen | health.starting:
        return Stall("QuorumLost", lost_quorum(health))
    return None


def lost_quorum(health: SlotHealth) -> str:
    """Say how many slots cannot be written or read."""
    return f"{health.unavailable_slots} slots miss their quorum"


def _reason_of(guard: Guard, observed: Observed) -> str | None:
    if guard is Guard.DOCUMENT_WHOLE and observed.document is None:
        return "DocumentLost"
    return REASON_OF[guard] if guard.needs_human else None
