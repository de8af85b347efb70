"""The topology document: which store owns what, in which epoch. Pure.

One writer publishes it, every node obeys the newest it has seen. A change of membership runs
through prepare and switch to stable; each successor raises the epoch by one and names the digest of
its predecessor. A store number is given once: after the store has left, it stands in `retired`.

Invariants: `2 * write_quorum > factor`; `stores` holds exactly the stores that `current` and the
change's target name. Times are ms since 1970.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast, get_args

from spine_core.errors import InvalidInputError
from spine_core.fields import Fields
from spine_core.scalars import STORE_NUMBER_MAX, StoreNumber
from spine_core.topology.parts import (
    Change,
    ChangeKind,
    HistoryEntry,
    Loss,
    Phase,
    Result,
    StoreInfo,
    check_write_quorum,
    refuse_twice,
    seats_from_json,
    store_numbers,
)
from spine_core.topology.ring import Seat, Zone, ZonePolicy
from spine_core.topology.seats import placeable

__all__ = [
    "Change",
    "ChangeKind",
    "Document",
    "HistoryEntry",
    "Loss",
    "Phase",
    "Seat",
    "StoreInfo",
    "Zone",
    "ZonePolicy",
]

HISTORY_LENGTH = 16  # changes remembered: enough for the back-off and for a day of healing
FACTOR_MAX = 7  # a write waits for the slowest replica it needs
VIRTUAL_NODES_MAX = 1024  # the ring of 50 seats then has 51 200 points, still < 100 ms to build
SLOTS_MAX = 4096  # first 12 bits of a key's hash; tests use fewer
EPOCH_MAX = 2**53 - 1  # the largest whole number that every JSON reader keeps exact


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One version of the topology document.

    `history` is oldest first; `retired` maps the numbers of stores that left to their ids.
    """

    cluster_id: str
    epoch: int
    slots: int
    virtual_nodes: int
    factor: int
    write_quorum: int
    zone_policy: ZonePolicy
    stores: Mapping[StoreNumber, StoreInfo]
    current: Mapping[Seat, StoreNumber]
    change: Change | None = None
    next_number: int
    previous: str = ""  # digest of the epoch before; empty in epoch 1
    history: tuple[HistoryEntry, ...] = ()
    retired: Mapping[StoreNumber, str] = field(default_factory=dict)
    losses: tuple[Loss, ...] = ()

    @property
    def phase(self) -> Phase:
        """The phase that decides the quorums."""
        return self.change.phase if self.change else Phase.STABLE

    @property
    def target(self) -> Mapping[Seat, StoreNumber]:
        """The seats after the running change; those of now when there is none."""
        return self.change.target if self.change else self.current

    def members(self) -> frozenset[StoreNumber]:
        """Return every store that may hold data: those of current and target."""
        return frozenset(self.current.values()) | frozenset(self.target.values())

    def to_json(self) -> dict[str, Any]:
        """Return the document as JSON values."""
        return {
            "cluster_id": self.cluster_id,
            "epoch": self.epoch,
            "slots": self.slots,
            "vnodes": self.virtual_nodes,
            "replication": {"factor": self.factor, "write_quorum": self.write_quorum},
            "zone_policy": self.zone_policy,
            "stores": {str(number): store.to_json() for number, store in self.stores.items()},
            "current": dict(self.current),
            "change": self.change.to_json() if self.change else None,
            "next_number": self.next_number,
            "previous": self.previous,
            "history": [entry.to_json() for entry in self.history],
            "retired": {str(number): store_id for number, store_id in self.retired.items()},
            "losses": [loss.to_json() for loss in self.losses],
        }

    @classmethod
    def from_json(cls, value: object) -> "Document":
        """Read a document and check every field and invariant.

        A field that this version does not know is refused: who cannot obey all of it obeys nothing.

        Raises:
            InvalidInputError: with the path of the first field that is wrong.
        """
        document = _read(Fields(value))
        _check_parameters(document)
        _check_seats(document, document.current, "current")
        _check_seats(document, document.target, "change.target")
        _check_stores(document)
        _check_change(document)
        return document

    def canonical(self) -> bytes:
        """Return the one byte form that is stored, sent and digested.

        Keys sorted, no white space, UTF-8.
        """
        text = json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return text.encode()

    def digest(self) -> str:
        """SHA-256 of the canonical form, in hex."""
        return hashlib.sha256(self.canonical()).hexdigest()

    def with_change(
        self,
        kind: ChangeKind,
        *,
        joining: tuple[StoreInfo, ...] = (),
        leaving: frozenset[Seat] = frozenset(),
        now_ms: int,
        automatic: bool = False,
    ) -> "Document":
        """Begin a change, in prepare. New stores get the next numbers, in the order given.

        A replaced seat stands in `joining`, with its new store.
        """
        assert self.change is None, "one change at a time"
        first = self.next_number
        numbered = {StoreNumber(first + i): store for i, store in enumerate(joining)}
        target = {seat: number for seat, number in self.current.items() if seat not in leaving}
        target |= {store.seat: number for number, store in numbered.items()}
        change = Change(id=f"c-{self.epoch + 1}", kind=kind, phase=Phase.PREPARE, target=target)
        begun = HistoryEntry(id=change.id, kind=kind, started_ms=now_ms, automatic=automatic)
        return self._successor(
            stores={**self.stores, **numbered},
            change=change,
            next_number=self.next_number + len(numbered),
            history=(*self.history, begun)[-HISTORY_LENGTH:],
        )

    def switched(self) -> "Document":
        """Go on from prepare to switch: reads move to the target."""
        return self._in_phase(Phase.PREPARE, Phase.SWITCH)

    def unswitched(self) -> "Document":
        """Go back from switch to prepare."""
        return self._in_phase(Phase.SWITCH, Phase.PREPARE)

    def committed(self, *, now_ms: int) -> "Document":
        """Finish a switched change: the point of no return. Stores that left are retired."""
        assert self.phase is Phase.SWITCH, "only a switched change may commit"
        return self._settled(self.target, "committed", now_ms)

    def reverted(self, *, now_ms: int, automatic: bool = False) -> "Document":
        """Take a change back from prepare. Stores that were to join are retired."""
        assert self.phase is Phase.PREPARE, "a switched change goes back to prepare first"
        return self._settled(self.current, "reverted", now_ms, automatic=automatic)

    def _in_phase(self, before: Phase, after: Phase) -> "Document":
        assert self.change is not None, "no change is running"
        assert self.phase is before, f"the change stands in {self.phase}, not in {before}"
        return self._successor(change=replace(self.change, phase=after))

    def _settled(
        self,
        seats: Mapping[Seat, StoreNumber],
        result: Result,
        now_ms: int,
        *,
        automatic: bool = False,
    ) -> "Document":
        kept = frozenset(seats.values())
        begun = self.history[-1]
        ended = replace(
            begun, ended_ms=now_ms, result=result, automatic=begun.automatic or automatic
        )
        gone = {number: store.id for number, store in self.stores.items() if number not in kept}
        return self._successor(
            stores={number: store for number, store in self.stores.items() if number in kept},
            current=dict(seats),
            change=None,
            history=(*self.history[:-1], ended),
            retired={**self.retired, **gone},
        )

    def _successor(self, **fields: Any) -> "Document":
        return replace(self, epoch=self.epoch + 1, previous=self.digest(), **fields)


def _read(fields: Fields) -> Document:
    fields.only(
        *("cluster_id", "epoch", "slots", "vnodes", "replication", "zone_policy", "stores"),
        *("current", "change", "next_number", "previous", "history", "retired", "losses"),
    )
    replication = fields.inner("replication")
    replication.only("factor", "write_quorum")
    stores, retired = fields.inner("stores"), fields.inner("retired")
    return Document(
        cluster_id=fields.uuid("cluster_id"),
        epoch=fields.whole("epoch", 1, EPOCH_MAX),
        slots=fields.whole("slots", 1, SLOTS_MAX),
        virtual_nodes=fields.whole("vnodes", 1, VIRTUAL_NODES_MAX),
        factor=replication.whole("factor", 1, FACTOR_MAX),
        write_quorum=replication.whole("write_quorum", 1, FACTOR_MAX),
        zone_policy=cast("ZonePolicy", fields.one_of("zone_policy", get_args(ZonePolicy))),
        stores={
            number: StoreInfo.from_json(stores.inner(str(number)))
            for number in store_numbers(fields, "stores")
        },
        current=seats_from_json(fields.inner("current")),
        change=None if fields.absent("change") else Change.from_json(fields.inner("change")),
        next_number=fields.whole("next_number", 1, STORE_NUMBER_MAX + 1),
        previous=fields.text("previous", longest=64, empty=True),
        history=tuple(HistoryEntry.from_json(entry) for entry in fields.items("history")),
        retired={number: retired.uuid(str(number)) for number in store_numbers(fields, "retired")},
        losses=tuple(Loss.from_json(loss) for loss in fields.items("losses")),
    )


def _check_parameters(document: Document) -> None:
    """Quorums and slots: two write quorums share a replica, and slots divide the circle evenly."""
    if document.slots & (document.slots - 1):
        raise InvalidInputError("must be a power of two", path="slots")
    path = "replication.write_quorum"
    check_write_quorum(document.write_quorum, factor=document.factor, path=path)
    if (document.previous == "") != (document.epoch == 1):
        raise InvalidInputError("is empty in epoch 1 and only there", path="previous")


def _check_seats(document: Document, seats: Mapping[Seat, StoreNumber], path: str) -> None:
    """Seats: each holds the store that names it, and their zones can hold the replicas."""
    zones: dict[Seat, Zone] = {}
    for seat, number in seats.items():
        store = document.stores.get(number)
        if store is None or store.seat != seat:
            raise InvalidInputError(f"names no store of {seat}", path=f"{path}.{seat}")
        zones[seat] = store.zone
    if not placeable(zones, factor=document.factor, zone_policy=document.zone_policy):
        raise InvalidInputError(f"cannot hold {document.factor} replicas", path=path)


def _check_stores(document: Document) -> None:
    """Store numbers: each sits on a seat, none is retired, none is given twice."""
    stores = document.stores
    for number in stores:
        if number not in document.members():
            raise InvalidInputError("is on no seat", path=f"stores.{number}")
        if number in document.retired:
            raise InvalidInputError("is retired", path=f"stores.{number}")
    if max((*stores, *document.retired)) >= document.next_number:
        raise InvalidInputError("must be above every store number", path="next_number")
    ids = [store.id for store in stores.values()]
    refuse_twice((*ids, *document.retired.values()), "names a store id twice", "stores")


def _check_change(document: Document) -> None:
    """Running change: its target fits its kind, and the history ends with it."""
    if document.change is None:
        return
    before, after = document.current.items(), document.target.items()
    shapes = {
        "join": before < after,
        "drain": after < before,
        "replace": document.current.keys() == document.target.keys() and before != after,
    }
    if not shapes[document.change.kind]:
        message = f"is no {document.change.kind} of current"
        raise InvalidInputError(message, path="change.target")
    if not document.history or document.history[-1].id != document.change.id:
        raise InvalidInputError("does not end with the running change", path="history")
