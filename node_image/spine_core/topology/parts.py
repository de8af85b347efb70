"""The parts of a topology document: stores, the running change, what happened before. Pure.

Each part knows its JSON form. Times are ms since 1970.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal, cast, get_args

from spine_core.errors import InvalidInputError
from spine_core.fields import Fields
from spine_core.scalars import STORE_NUMBER_MAX, StoreNumber
from spine_core.topology.ring import Seat, Zone

ChangeKind = Literal["join", "drain", "replace"]
Result = Literal["committed", "reverted"]

TIME_MAX = 2**48 - 1  # ms: what a version's clock can hold
SEAT_LENGTH_MAX = 63  # a pod name is a DNS label


class Phase(StrEnum):
    """Where a change stands; the quorums follow from it."""

    STABLE = "stable"
    PREPARE = "prepare"
    SWITCH = "switch"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreInfo:
    """One store that the document names: `id` is the UUID in its directory."""

    id: str
    seat: Seat
    zone: Zone
    url: str

    def to_json(self) -> dict[str, Any]:
        """Return the store as JSON values."""
        return {"id": self.id, "seat": self.seat, "zone": self.zone, "url": self.url}

    @classmethod
    def from_json(cls, fields: Fields) -> "StoreInfo":
        """Read one store."""
        fields.only("id", "seat", "zone", "url")
        return cls(
            id=fields.uuid("id"),
            seat=fields.text("seat", longest=SEAT_LENGTH_MAX),
            zone=fields.text("zone", longest=SEAT_LENGTH_MAX),
            url=fields.text("url"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A running change of membership. `phase` is prepare or switch, never stable."""

    id: str
    kind: ChangeKind
    phase: Phase
    target: Mapping[Seat, StoreNumber]

    def to_json(self) -> dict[str, Any]:
        """Return the change as JSON values."""
        target = dict(self.target)
        return {"id": self.id, "kind": self.kind, "phase": self.phase.value, "target": target}

    @classmethod
    def from_json(cls, fields: Fields) -> "Change":
        """Read the running change."""
        fields.only("id", "kind", "phase", "target")
        return cls(
            id=fields.text("id", longest=64),
            kind=cast("ChangeKind", fields.one_of("kind", get_args(ChangeKind))),
            phase=Phase(fields.one_of("phase", (Phase.PREPARE.value, Phase.SWITCH.value))),
            target=seats_from_json(fields.inner("target")),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryEntry:
    """One change, the running one too: `ended_ms` and `result` are None until it has ended."""

    id: str
    kind: ChangeKind
    started_ms: int
    ended_ms: int | None = None
    result: Result | None = None
    automatic: bool = False  # nobody asked: begun by healing, or taken back because it stalled

    def to_json(self) -> dict[str, Any]:
        """Return the entry as JSON values."""
        return {
            "id": self.id,
            "kind": self.kind,
            "started": self.started_ms,
            "ended": self.ended_ms,
            "result": self.result,
            "automatic": self.automatic,
        }

    @classmethod
    def from_json(cls, fields: Fields) -> "HistoryEntry":
        """Read one change of the past."""
        fields.only("id", "kind", "started", "ended", "result", "automatic")
        running = fields.absent("ended")
        result = None if running else fields.one_of("result", get_args(Result))
        return cls(
            id=fields.text("id", longest=64),
            kind=cast("ChangeKind", fields.one_of("kind", get_args(ChangeKind))),
            started_ms=fields.whole("started", 0, TIME_MAX),
            ended_ms=None if running else fields.whole("ended", 0, TIME_MAX),
            result=cast("Result | None", result),
            automatic=fields.truth("automatic"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """A store whose slots somebody gave up although no copy was left; kept for ever.

    `slots` is a slot set in hex, as in the reports.
    """

    change: str
    store: StoreNumber
    slots: str
    at_ms: int

    def to_json(self) -> dict[str, Any]:
        """Return the loss as JSON values."""
        return {"change": self.change, "store": self.store, "slots": self.slots, "at": self.at_ms}

    @classmethod
    def from_json(cls, fields: Fields) -> "Loss":
        """Read one loss."""
        fields.only("change", "store", "slots", "at")
        return cls(
            change=fields.text("change", longest=64),
            store=store_number(fields, "store"),
            slots=fields.text("slots", longest=1024),
            at_ms=fields.whole("at", 0, TIME_MAX),
        )


def seats_from_json(fields: Fields) -> dict[Seat, StoreNumber]:
    """Read seat → store number. A store sits on one seat only."""
    seats = {seat: store_number(fields, seat) for seat in fields.names()}
    refuse_twice(seats.values(), "names a store twice", fields.path)
    return seats


def store_number(fields: Fields, name: str) -> StoreNumber:
    """Return the store number in a field."""
    return StoreNumber(fields.whole(name, 1, STORE_NUMBER_MAX))


def store_numbers(fields: Fields, name: str) -> tuple[StoreNumber, ...]:
    """Return the names of an object whose names are store numbers."""
    return tuple(map(StoreNumber, fields.numbered(name, 1, STORE_NUMBER_MAX)))


def check_write_quorum(write_quorum: int, *, factor: int, path: str) -> None:
    """Refuse a write quorum of which two need not share a replica, or more than there are.

    Invariant: `factor < 2 * write_quorum <= 2 * factor`. The custom resource's schema says the same
    (crds/memoryspineclusters.yaml), for those who never reach this code.

    Raises:
        InvalidInputError: with the `path` at which it was given.
    """
    if not factor < 2 * write_quorum <= 2 * factor:
        message = f"must be more than half of factor {factor}, and not more than it"
        raise InvalidInputError(message, path=path)


def refuse_twice(values: Iterable[object], message: str, path: str) -> None:
    """Refuse values of which one occurs twice."""
    listed = list(values)
    if len(set(listed)) != len(listed):
        raise InvalidInputError(message, path=path)
