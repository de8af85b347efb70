"""What `next_action` may answer: one idempotent action, or why there is none. Pure data."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from spine_core.planning.guards import Block, Guard, Unknown
from spine_core.topology.document import Document, Seat


class Step(StrEnum):
    """What is being done, as people read it in the status. The second half is the operator's alone."""

    STORES = "stores"  # nodes start and show their empty stores
    PLAN = "plan"
    PREPARE = "prepare"
    PUSH = "push"
    PULL = "pull"
    REVERT = "revert"
    SWITCH = "switch"
    COMMIT = "commit"
    SETTLE = "settle"
    SHRINK = "shrink"  # nodes that the document no longer names are taken away
    FINALIZER = "finalizer"  # of the custom resource: not there yet, or the last thing to go
    SECRETS = "secrets"
    CHILDREN = "children"  # objects of Kubernetes that follow from the spec
    PODS = "pods"
    VOLUME = "volume"
    PAUSE = "pause"


@dataclass(frozen=True, slots=True, kw_only=True)
class Publish:
    """Store this document by compare-and-set on its predecessor; push only afterwards."""

    document: Document
    step: Step
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Push:
    """Send the document to nodes that have not adopted it."""

    document: Document
    stores: Mapping[Seat, str]  # seat → id of the store it reported
    step: Step


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Do nothing until the next look: `done` of `total` have happened."""

    step: Step
    message: str
    done: int = 0
    total: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocked:
    """A guard does not let the step pass."""

    guard: Guard
    verdict: Block | Unknown
    step: Step

    @property
    def message(self) -> str:
        """What the guard says."""
        return self.verdict.message


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveSeats:
    """Take away nodes that the document does not name and nobody wants."""

    seats: tuple[Seat, ...]
    step: Step = Step.SHRINK


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """The document is what is wanted, and every node that answers has adopted it."""


Action = Publish | Push | Wait | Blocked | RemoveSeats | Done
