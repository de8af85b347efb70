"""The control loop of a static cluster: observe, execute the one next action, observe again.

The decision is `spine_core.planning.next_action`, the same as the operator's. Nothing is remembered between
passes but the document file and where nodes that left can still be reached, so a run may be
interrupted anywhere. Persist first, push second. Source: operator.md §13.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, assert_never

from memory_spine.errors import SpineError
from spine_cli.admin import Nodes
from spine_cli.document_file import DocumentChanged, DocumentFile
from spine_cli.environment import Environment
from spine_core.planning.actions import (
    Action,
    Blocked,
    Done,
    Publish,
    Push,
    RemoveSeats,
    Step,
    Wait,
)
from spine_core.planning.guards import Unknown
from spine_core.planning.next_action import next_action
from spine_core.planning.observed_stores import Reports
from spine_core.planning.wanted import Wanted
from spine_core.topology.document import Document, Seat
from spine_core.topology.placement import Placement

OBSERVE_AGAIN_S = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What one round of status requests showed, and the action that follows."""

    document: Document | None
    reports: Reports
    action: Action


@dataclass(slots=True, kw_only=True)
class TopologyController:
    """Brings one static cluster to what its file asks for."""

    wanted: Wanted
    file: DocumentFile
    nodes: Nodes
    environment: Environment
    _addresses: dict[Seat, str] = field(default_factory=dict)  # of every seat seen in this run

    def observe(self) -> Observation:
        """Ask every node for its status and decide the next action; change nothing."""
        document = self.file.read()
        self._remember(document)
        reports = self.nodes.reports(self._addresses)
        if document is None:
            document = self._newest_of(reports)
        if document is None:
            return Observation(
                document=None, reports=reports, action=self._before_bootstrap(reports)
            )
        now_ms = self.environment.unix_ms()
        action = next_action(
            document,
            reports,
            self.wanted,
            cluster_id=document.cluster_id,
            waited_s=self.file.age_s(now_ms) if self.file.path.exists() else 0.0,
            now_ms=now_ms,
        )
        return Observation(document=document, reports=reports, action=action)

    def passes(self) -> Iterator[Observation]:
        """Execute actions until none is left or a person is needed; the last observation says which."""
        while True:
            observation = self.observe()
            yield observation
            if is_final(observation.action):
                return
            if not self._execute(observation):
                self.environment.sleep(OBSERVE_AGAIN_S)

    def _execute(self, observation: Observation) -> bool:
        """Execute the action; return whether to observe again at once."""
        match observation.action:
            case Publish(document=document):
                return self._publish(document, observation.document)
            case Push(document=document, stores=stores):
                pushed = [self._push(seat, store, document) for seat, store in stores.items()]
                return all(pushed)
            case Wait() | Blocked():
                return False
            case Done() | RemoveSeats():
                return True
            case never:
                assert_never(never)

    def _publish(self, document: Document, before: Document | None) -> bool:
        try:
            if before is not None and self.file.read() is None:
                self.file.publish(before)  # what the nodes held becomes what we go on from
            self.file.publish(document)
        except DocumentChanged:
            return False
        return True

    def _push(self, seat: Seat, store_id: str, document: Document) -> bool:
        try:
            self.nodes.adopt(self._addresses[seat], store_id, document)
        except SpineError:
            return False  # its next report says where it stands
        return True

    def _remember(self, document: Document | None) -> None:
        self._addresses |= {seat: place.url for seat, place in self.wanted.seats.items()}
        if document is not None:
            stores = document.stores.values()
            self._addresses |= {store.seat: store.url for store in stores}

    def _newest_of(self, reports: Reports) -> Document | None:
        """Return the newest document that a node follows; None when none has joined.

        Raises:
            SpineError, InvalidInputError: the node that has it does not give it.
        """
        joined = [(r.epoch, seat, r.store_id) for seat, r in reports.items() if r and r.epoch]
        if not joined:
            return None
        _, seat, store_id = max(joined)
        document = self.nodes.document(self._addresses[seat], store_id)
        self._remember(document)
        return document

    def _before_bootstrap(self, reports: Reports) -> Wait:
        """Leave the first document to the first node of the file, which makes it by itself."""
        first = next(iter(self.wanted.seats))
        up = sum(report is not None for report in reports.values())
        message = f"no node has a topology yet; {first} makes it when all nodes are up"
        return Wait(step=Step.STORES, message=message, done=up, total=len(reports))


def is_final(action: Action) -> bool:
    """Whether acting on would not change anything until a person does something."""
    match action:
        case Done() | RemoveSeats():
            return True
        case Blocked(guard=guard, verdict=verdict):
            return guard.needs_human and not isinstance(verdict, Unknown)
        case _:
            return False


def describe(action: Action) -> dict[str, Any]:
    """Return an action as facts; `message` is for people."""
    match action:
        case Publish(document=document, step=step, why=why):
            return {"action": "publish", "step": step, "message": why, **_moves(document)}
        case Push(stores=stores, step=step):
            message = f"the document goes to {', '.join(stores)}"
            return {"action": "push", "step": step, "message": message}
        case Wait(step=step, message=message, done=done, total=total):
            facts = {"done": done, "total": total}
            return {"action": "wait", "step": step, "message": message, **facts}
        case Blocked(step=step, guard=guard):
            message = f"{guard}: {action.message}"
            return {"action": "blocked", "step": step, "guard": guard, "message": message}
        case RemoveSeats(seats=seats, step=step):
            message = f"{', '.join(seats)} left the cluster and may be stopped"
            return {"action": "stop", "step": step, "seats": seats, "message": message}
        case Done():
            return {"action": "done", "message": "the cluster is what the file asks for"}
        case never:
            assert_never(never)


def _moves(document: Document) -> dict[str, Any]:
    """Return what a change brings: who joins and leaves, and how many slots each seat gains."""
    if document.change is None:
        return {"epoch": document.epoch, "phase": document.phase}
    before, after = document.current.keys(), document.target.keys()
    gained = Placement(document).gained()
    return {
        "epoch": document.epoch,
        "phase": document.phase,
        "kind": document.change.kind,
        "joining": sorted(after - before),
        "leaving": sorted(before - after),
        "slots_gained": {
            document.stores[store].seat: len(slots) for store, slots in gained.items()
        },
    }
