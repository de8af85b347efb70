"""What a plan may say: acts of a closed set, or why there is none. Pure data."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from spine_core.topology.document import Document, Seat, Zone
from spine_operator.manifests.objects import Manifest
from spine_operator.ports import Kind


@dataclass(frozen=True, slots=True)
class ApplyChild:
    """Bring a child object to our manifest."""

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
    """Write down on a claim which store it holds, or when it may go."""

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
    step: str


# harmless when repeated
Apply = ApplyChild | MakeSecrets | RenewLeaf | LabelClaim | SetPace | DeleteChild


@dataclass(frozen=True, slots=True, kw_only=True)
class Publish:
    """Store a document, if the stored one is still that of `version` (None: there is none)."""

    document: Document
    version: str | None
    step: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Push:
    """Send the document to stores that have not adopted it."""

    document: Document
    stores: Mapping[Seat, str]  # seat → store id
    step: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Resize:
    """Set the number of pods of a zone."""

    zone: Zone
    statefulset: str
    version: str  # resourceVersion that the decision was made on
    before: int
    pods: int
    step: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteClaim:
    """Delete a volume that no slot needs."""

    name: str
    uid: str
    why: str
    step: str = "volume"


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveFinalizer:
    """Let the custom resource go; `left_over` names what could not be deleted in time."""

    left_over: tuple[str, ...] = ()
    step: str = "finalizer"


Act = Publish | Push | Resize | DeleteClaim | DeleteChild | RemoveFinalizer


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Nothing to do but to look again: `done` of `total` have happened."""

    step: str
    message: str
    done: int = 0
    total: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocked:
    """A guard does not let the step pass. `stalled` is the reason when only a human can help."""

    guard: str
    verdict: Literal["Block", "Unknown"]
    message: str
    step: str
    stalled: str | None = None


@dataclass(frozen=True, slots=True)
class Done:
    """Everything is as the spec wants it."""


Decision = Act | Wait | Blocked | Done


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One turn: every apply, then the decision."""

    applies: tuple[Apply, ...] = ()
    decision: Decision
