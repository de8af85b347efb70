"""What a plan may say: actions of a closed set, or why there is none. Pure data.

Actions on the topology document are those of `spine_core.planning.actions`; these are the others.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from spine_core.planning.actions import Blocked, Done, Publish, Push, Step, Wait
from spine_core.topology.document import Seat, Zone
from spine_operator.manifests.objects import Manifest
from spine_operator.ports import Kind


@dataclass(frozen=True, slots=True)
class ApplyChild:
    """Apply our manifest of a child object."""

    manifest: Manifest


@dataclass(frozen=True, slots=True)
class MakeSecrets:
    """Create Secrets that are missing, in this order."""

    purposes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RenewLeaf:
    """Give the nodes a new certificate from the same authority; they read it again by themselves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelClaim:
    """Label a claim with the store it holds, or with the time from which it may be deleted."""

    name: str
    uid: str
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class SetPace:
    """Bound the pulls of a node."""

    seat: Seat
    store_id: str
    bytes_per_s: int
    slots: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteChild:
    """Delete another object that is ours and that nobody needs."""

    kind: Kind
    name: str
    uid: str
    step: Step


# harmless when repeated: any number in one reconcile pass
RepeatableAction = ApplyChild | MakeSecrets | RenewLeaf | LabelClaim | SetPace | DeleteChild


@dataclass(frozen=True, slots=True, kw_only=True)
class Resize:
    """Set the number of pods of a zone."""

    zone: Zone
    statefulset: str
    version: str  # resourceVersion that the decision was made on
    before: int
    pods: int
    step: Step


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteClaim:
    """Delete a volume that no slot needs."""

    name: str
    uid: str
    why: str
    step: Step = Step.VOLUME


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveFinalizer:
    """Remove our finalizer; `left_over` names what could not be deleted in time."""

    left_over: tuple[str, ...] = ()
    step: Step = Step.FINALIZER


# at most one in a reconcile pass
ExclusiveAction = Publish | Push | Resize | DeleteClaim | DeleteChild | RemoveFinalizer


Decision = ExclusiveAction | Wait | Blocked | Done


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconcilePlan:
    """What one reconcile pass executes: every apply, then the decision."""

    applies: tuple[RepeatableAction, ...] = ()
    decision: Decision
