"""`NodesPort` in memory: what the stores behind the pods would answer, without a byte of data.

A store lives on a claim and outlives its pod. It adopts documents by the rules of the protocol (epochs
only grow, another digest of the same epoch is a conflict) and pulls in no time, unless `pulling` is
off. All nodes of a test see each other up.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from spine_core.planning.reports import slots_to_hex
from spine_core.scalars import Slot, StoreNumber
from spine_core.topology.document import Document, Phase
from spine_core.topology.placement import Placement
from spine_operator.ports import Json, NodeEndpoint, NodeError


@dataclass
class Store:
    """One disk. `document` is what it has durably adopted; `pulled` names the changes it finished."""

    id: str
    seat: str
    document: Document | None = None
    cluster_id: str | None = None
    number: StoreNumber | None = None
    pace: tuple[int, int] = (32 * 1024**2, 4)
    idle_s: float = 0.0

    @property
    def is_retired(self) -> bool:
        return self.document is not None and self.number not in self.document.members()


class NodesDouble:
    """The admin plane of every node that runs."""

    def __init__(self) -> None:
        self.running: dict[str, Store] = {}  # seat → the store of its pod
        self.pulling = True
        self.adoptions: list[tuple[str, int]] = []  # (store id, epoch), in order
        self.refuses: frozenset[str] = frozenset()  # calls that every node refuses

    async def status(self, endpoint: NodeEndpoint) -> Json:
        return self.report(self._store(endpoint))

    async def adopt(self, endpoint: NodeEndpoint, store_id: str, document: Document) -> None:
        self._check("adopt", endpoint)
        store = self._store(endpoint)
        if store.id != store_id:
            raise NodeError("another store lives here", code="misdirected")
        numbers = {info.id: number for number, info in document.stores.items()}
        if store.document is not None:
            if document.epoch < store.document.epoch:
                raise NodeError("an older epoch", code="stale-epoch")
            if document.epoch == store.document.epoch and document != store.document:
                raise NodeError("another document of this epoch", code="epoch-conflict")
        elif store.id not in numbers:
            raise NodeError("the document does not name this store", code="misdirected")
        store.number = numbers.get(store.id, store.number)
        store.document, store.cluster_id = document, document.cluster_id
        self.adoptions.append((store.id, document.epoch))

    async def set_pace(
        self, endpoint: NodeEndpoint, store_id: str, *, bytes_per_s: int, slots: int
    ) -> None:
        self._check("set_pace", endpoint)
        store = self._store(endpoint)
        assert store.id == store_id
        store.pace = (bytes_per_s, slots)

    def report(self, store: Store) -> dict[str, Any]:
        document = store.document
        others = [s.number for s in self.running.values() if s.number not in (None, store.number)]
        return {
            "wire": 1,
            "version": "1.0.0",
            "seat": store.seat,
            "cluster_id": store.cluster_id,
            "store": {"id": store.id, "number": store.number},
            "boot": 1,
            "up_s": 1000.0,
            "clean": False,
            "status": _status(store),
            "epoch": document.epoch if document else None,
            "digest": document.digest() if document else None,
            "config_digest": "c0",
            "change": self._change(store),
            "pulls": {str(number): 1.0 for number in others},
            "peers": {str(n): {"state": "up", "boot": 1, "silent_s": 0.1} for n in others},
            "disk": {"used": 1000, "quota": 10**9},
            "pace": {"bytes_per_s": store.pace[0], "slots": store.pace[1]},
            "jobs": [],
            "tls": {},
        }

    def gained(self, store: Store) -> frozenset[Slot]:
        """Return the slots that a store has to pull for the running change."""
        document = store.document
        if document is None or document.phase is Phase.STABLE or store.number is None:
            return frozenset()
        return _gained(document).get(store.number, frozenset())

    def _change(self, store: Store) -> dict[str, Any] | None:
        document = store.document
        if document is None or document.change is None:
            return None
        gained = self.gained(store)
        pulled = gained if self.pulling else frozenset[Slot]()
        return {
            "id": document.change.id,
            "pulled": slots_to_hex(pulled, document.slots),
            "gained": len(gained),
            "bytes_done": len(pulled),
            "bytes_total": len(gained),
            "idle_s": store.idle_s,
        }

    def _check(self, call: str, endpoint: NodeEndpoint) -> None:
        if call in self.refuses:
            raise NodeError(f"{endpoint.seat} refuses {call}")

    def _store(self, endpoint: NodeEndpoint) -> Store:
        if endpoint.seat not in self.running:
            raise NodeError(f"{endpoint.seat} does not answer")
        return self.running[endpoint.seat]


_GAINED: dict[str, Mapping[StoreNumber, frozenset[Slot]]] = {}  # digest of a document → its gains


def _gained(document: Document) -> Mapping[StoreNumber, frozenset[Slot]]:
    digest = document.digest()
    if digest not in _GAINED:
        _GAINED[digest] = Placement(document).gained()
    return _GAINED[digest]


def _status(store: Store) -> str:
    if store.document is None:
        return "unjoined"
    return "retired" if store.is_retired else "ok"
