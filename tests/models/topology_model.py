"""A model of stores, pods and one stored document, in which actions have their effects.

Stores adopt durably and only forwards; pulls move slots only from the sources that the product
names. Every effect checks what must never happen: that is where the safety rules are held.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from models.clusters import CLUSTER, SLOTS, VIRTUAL_NODES, store_id
from spine_core.planning.actions import Action, Publish, Push, RemoveSeats
from spine_core.planning.next_action import next_action
from spine_core.planning.reports import ChangeProgress, PeerView, Report, Status
from spine_core.planning.wanted import SeatAddress, Wanted
from spine_core.replication.pull_sources import sources_of
from spine_core.scalars import Slot, StoreNumber
from spine_core.topology.document import Document, Phase, Seat
from spine_core.topology.placement import Placement
from spine_core.topology.seats import wanted_seats

Fault = Literal["none", "lost"]


@dataclass(slots=True)
class Pod:
    """One node with its store."""

    seat: Seat
    store_id: str
    up: bool = True  # the process runs
    heard: bool = True  # its answers reach the operator
    since_ms: int = 0  # of the last start, stop or pulled slot
    document: Document | None = None  # durably adopted
    change: str = ""  # the change that `pulled` belongs to
    pulled: set[Slot] = field(default_factory=set)

    @property
    def number(self) -> StoreNumber | None:
        if self.document is None:
            return None
        stores = self.document.stores.items()
        return next((n for n, store in stores if store.id == self.store_id), None)


class TopologyModel:
    """What is true, whatever the reports say."""

    def __init__(self) -> None:
        self.now_ms = 1_000_000
        self.published_ms = 0
        self.document: Document | None = None
        self.pods: dict[Seat, Pod] = {}
        self.ever: dict[StoreNumber, str] = {}  # every number that was ever given → store id
        self.wanted = wanted_of(("a", "b", "c"), 3)
        self._made = 0

    # What Kubernetes and people do

    def want(self, wanted: Wanted) -> None:
        self.wanted = wanted
        self.start_pods()

    def start_pods(self) -> None:
        """Give every wanted seat a pod; one whose store is retired comes back empty."""
        for seat in self.wanted.seats:
            pod = self.pods.get(seat)
            if pod is None or self._is_retired(pod):
                self.wipe(seat)

    def wipe(self, seat: Seat) -> None:
        """Start a pod with an empty disk."""
        self._made += 1
        self.pods[seat] = Pod(seat, store_id(1000 + self._made), since_ms=self.now_ms)

    def is_current(self, seat: Seat) -> bool:
        return self.document is not None and seat in self.document.current

    def pull(self, seat: Seat, most: int = SLOTS) -> None:
        """Let a pod pull up to `most` of its gained slots, where the sources are there."""
        pod = self.pods[seat]
        document, number = pod.document, pod.number
        if not pod.up or document is None or number is None or document.phase is not Phase.PREPARE:
            return
        placed = Placement(document)
        live = frozenset(
            other.number
            for other in self.pods.values()
            if other.up and other.document == document and other.number is not None
        )
        for slot in sorted(placed.gained().get(number, frozenset()) - pod.pulled)[:most]:
            if sources_of(placed, slot, number, live):
                pod.pulled.add(slot)
                pod.since_ms = self.now_ms

    # What the operator does

    def act(self, *, stale: Document | None = None, fault: Fault = "none") -> Action:
        """Take one action. With a fault the action is decided and its effect is lost."""
        document = stale or self.document
        waited_s = (self.now_ms - self.published_ms) / 1000
        action = next_action(
            document,
            self.reports(),
            self.wanted,
            cluster_id=CLUSTER,
            waited_s=waited_s,
            now_ms=self.now_ms,
        )
        if fault == "none":
            self._apply(action)
        return action

    def reports(self) -> dict[Seat, Report | None]:
        return {
            seat: self._report(pod) if pod.up and pod.heard else None
            for seat, pod in self.pods.items()
        }

    def _apply(self, action: Action) -> None:
        match action:
            case Publish():
                self._publish(action.document)
            case Push():
                self._push(action.document, action.stores)
            case RemoveSeats():
                self._remove(action.seats)
            case _:
                pass

    def _publish(self, document: Document) -> None:
        before = self.document
        if document.previous != (before.digest() if before else ""):
            return  # compare-and-set: somebody else was first
        assert Document.from_json(document.to_json()) == document
        if before is not None:
            assert document.epoch == before.epoch + 1, "epochs grow by one"
            self._assert_barrier(before)
            if document.phase is Phase.SWITCH and before.phase is Phase.PREPARE:
                self._assert_pulled(before)
        for number, store in document.stores.items():
            assert self.ever.setdefault(number, store.id) == store.id, "a number is given once"
        assert not document.members() & document.retired.keys(), "retired is for ever"
        self.document, self.published_ms = document, self.now_ms

    def _assert_barrier(self, document: Document) -> None:
        placed = Placement(document)
        acked = {pod.number for pod in self.pods.values() if pod.document == document}
        needed = max(document.write_quorum, document.factor - document.write_quorum + 1)
        for slot in placed.slots:
            for replicas in (placed.current(slot), placed.target(slot)):
                assert len(acked.intersection(replicas)) >= needed, "published past the barrier"

    def _assert_pulled(self, document: Document) -> None:
        by_number = {pod.number: pod for pod in self.pods.values()}
        for number, gained in Placement(document).gained().items():
            assert number in by_number, "a store is gone that has to hold data"
            assert gained <= by_number[number].pulled, "switched before it was pulled"

    def _push(self, document: Document, stores: dict[Seat, str] | object) -> None:
        assert isinstance(stores, dict)
        for seat, wanted_id in stores.items():
            pod = self.pods.get(seat)
            if pod is None or not pod.up or pod.store_id != wanted_id:
                continue
            if pod.document is None or pod.document.epoch < document.epoch:
                self._adopt(pod, document)

    def _adopt(self, pod: Pod, document: Document) -> None:
        pod.document = document
        change = document.change.id if document.change else ""
        if change != pod.change:
            pod.change, pod.since_ms = change, self.now_ms
            pod.pulled = set()

    def _remove(self, seats: Iterable[Seat]) -> None:
        assert self.document is not None
        for seat in seats:
            named = self.document.current.keys() | self.document.target.keys()
            assert seat not in named, "took away a node that the document names"
            assert seat not in self.wanted.seats, "took away a node that is wanted"
            del self.pods[seat]

    def _is_retired(self, pod: Pod) -> bool:
        return self.document is not None and pod.store_id in self.document.retired.values()

    def _report(self, pod: Pod) -> Report:
        document, others = pod.document, self._others(pod)
        return Report(
            seat=pod.seat,
            store_id=pod.store_id,
            status=_status(pod),
            cluster_id=document.cluster_id if document else None,
            number=pod.number,
            epoch=document.epoch if document else None,
            digest=document.digest() if document else None,
            up_s=1000.0,
            change=self._progress(pod),
            pulls={number: 1.0 for number, other in others.items() if other.up},
            peers={
                number: PeerView(
                    state="up" if other.up else "down",
                    boot=1,
                    silent_s=0.0 if other.up else (self.now_ms - other.since_ms) / 1000,
                )
                for number, other in others.items()
            },
            disk_used=1,
            disk_quota=10**6,
        )

    def _others(self, pod: Pod) -> dict[StoreNumber, Pod]:
        """Return the stores that a node hears of; one whose disk is gone stays silent."""
        document = pod.document
        stores = document.stores.items() if document else ()
        found: dict[StoreNumber, Pod] = {}
        for number, store in stores:
            other = self.pods.get(store.seat)
            if other is None or other.store_id != store.id:
                other = Pod(store.seat, store.id, up=False, since_ms=self.published_ms)
            if other.seat != pod.seat:
                found[number] = other
        return found

    def _progress(self, pod: Pod) -> ChangeProgress | None:
        if pod.document is None or pod.document.change is None or pod.number is None:
            return None
        return ChangeProgress(
            id=pod.document.change.id,
            pulled=frozenset(pod.pulled),
            gained=len(Placement(pod.document).gained().get(pod.number, ())),
            bytes_done=0,
            bytes_total=0,
            idle_s=(self.now_ms - pod.since_ms) / 1000,
        )


def wanted_of(zones: tuple[str, ...], replicas: int) -> Wanted:
    """Return what a spec of so many nodes in these zones asks for."""
    seats = wanted_seats("s", zones, replicas)
    places = {seat: SeatAddress(zone=zone, url=f"{seat}:8788") for seat, zone in seats}
    return Wanted(name="s", seats=places, slots=SLOTS, virtual_nodes=VIRTUAL_NODES)


def _status(pod: Pod) -> Status:
    if pod.document is None:
        return "unjoined"
    return "retired" if pod.number is None else "ok"
