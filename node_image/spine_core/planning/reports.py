"""What a node says about itself to whoever runs the topology. Pure.

Ages instead of times, so that no two clocks are compared. Fields that this version does not know
are ignored: a newer node may say more.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, cast, get_args

from spine_core.errors import InvalidInputError
from spine_core.fields import Fields
from spine_core.scalars import Slot, StoreNumber
from spine_core.topology.document import EPOCH_MAX, SLOTS_MAX, Seat
from spine_core.topology.parts import store_number, store_numbers

# A full store takes no client's writes, and everything else: to count it as gone would hold up the
# very change that frees its disk.
SERVING = ("ok", "draining", "full")
Status = Literal["unjoined", "starting", "ok", "draining", "full", "skewed", "isolated", "retired"]
PeerState = Literal["up", "suspect", "down"]

_COUNT_MAX = 2**63 - 1  # bytes and counters: what a 64-bit file system can say


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeProgress:
    """How far a store is with the slots it gains in the running change."""

    id: str
    pulled: frozenset[Slot]
    gained: int  # slots to pull
    bytes_done: int
    bytes_total: int
    idle_s: float  # since the last slot was completed, or since the change began


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerView:
    """One store as another one sees it."""

    state: PeerState
    boot: int
    silent_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One node's status. `epoch` and `digest` are of the document it has durably adopted."""

    seat: Seat
    store_id: str
    status: Status
    cluster_id: str | None = None
    number: StoreNumber | None = None
    epoch: int | None = None
    digest: str | None = None
    config_digest: str | None = None
    version: str = ""
    boot: int = 1
    up_s: float = 0.0
    clean: bool = False
    change: ChangeProgress | None = None
    pulls: Mapping[StoreNumber, float] = field(default_factory=dict)  # source → age, s, worst slot
    peers: Mapping[StoreNumber, PeerView] = field(default_factory=dict)
    disk_used: int = 0  # bytes
    disk_quota: int = 0  # bytes
    pace_bytes_per_s: int = 0
    pace_slots: int = 4  # 0: pulls of a change are suspended
    slot_bytes: Mapping[Slot, int] = field(default_factory=dict)  # only when asked for

    @classmethod
    def from_json(cls, value: object) -> "Report":
        """Read the body of `GET /admin/v1/status`.

        Raises:
            InvalidInputError: with the path of the first field that is wrong.
        """
        fields = Fields(value)
        store, disk, pace = fields.inner("store"), fields.inner("disk"), fields.inner("pace")
        return cls(
            seat=fields.text("seat"),
            store_id=store.uuid("id"),
            status=cast("Status", fields.one_of("status", get_args(Status))),
            number=None if store.absent("number") else store_number(store, "number"),
            cluster_id=None if fields.absent("cluster_id") else fields.uuid("cluster_id"),
            epoch=_optional_whole(fields, "epoch", EPOCH_MAX),
            digest=_optional_text(fields, "digest"),
            config_digest=_optional_text(fields, "config_digest"),
            version=fields.text("version"),
            boot=fields.whole("boot", 1, _COUNT_MAX),
            up_s=fields.seconds("up_s"),
            clean=fields.truth("clean"),
            change=None if fields.absent("change") else _progress(fields.inner("change")),
            pulls=_pulls(fields),
            peers=_peers(fields),
            disk_used=disk.whole("used", 0, _COUNT_MAX),
            disk_quota=disk.whole("quota", 0, _COUNT_MAX),
            pace_bytes_per_s=pace.whole("bytes_per_s", 0, _COUNT_MAX),
            pace_slots=pace.whole("slots", 0, SLOTS_MAX),
            slot_bytes={} if fields.absent("slots") else _slot_bytes(fields),
        )


def slots_to_hex(slots: Iterable[Slot], total: int) -> str:
    """Write a set of slots in hex, slot 0 first: one digit for every four slots."""
    digits = -(-total // 4)
    bits = sum(1 << (4 * digits - 1 - slot) for slot in set(slots))
    return f"{bits:0{digits}x}"


def slots_from_hex(text: str) -> frozenset[Slot]:
    """Read a set of slots.

    Raises:
        InvalidInputError: the text is not in lower-case hex.
    """
    if not text or set(text) - set("0123456789abcdef"):
        raise InvalidInputError("must be lower-case hex")
    bits = f"{int(text, 16):0{4 * len(text)}b}"
    return frozenset(Slot(slot) for slot, bit in enumerate(bits) if bit == "1")


def _progress(fields: Fields) -> ChangeProgress:
    pulled = fields.text("pulled", longest=SLOTS_MAX // 4)
    try:
        slots = slots_from_hex(pulled)
    except InvalidInputError as error:
        raise InvalidInputError(error.message, path=fields.at("pulled")) from error
    return ChangeProgress(
        id=fields.text("id", longest=64),
        pulled=slots,
        gained=fields.whole("gained", 0, SLOTS_MAX),
        bytes_done=fields.whole("bytes_done", 0, _COUNT_MAX),
        bytes_total=fields.whole("bytes_total", 0, _COUNT_MAX),
        idle_s=fields.seconds("idle_s"),
    )


def _pulls(fields: Fields) -> dict[StoreNumber, float]:
    inner = fields.inner("pulls")
    return {n: inner.seconds(str(n)) for n in store_numbers(fields, "pulls")}


def _peers(fields: Fields) -> dict[StoreNumber, PeerView]:
    inner = fields.inner("peers")
    return {number: _peer(inner.inner(str(number))) for number in store_numbers(fields, "peers")}


def _peer(fields: Fields) -> PeerView:
    return PeerView(
        state=cast("PeerState", fields.one_of("state", get_args(PeerState))),
        boot=fields.whole("boot", 0, _COUNT_MAX),
        silent_s=fields.seconds("silent_s"),
    )


def _slot_bytes(fields: Fields) -> dict[Slot, int]:
    inner = fields.inner("slots")
    return {
        slot: inner.wholes(str(slot), 2, _COUNT_MAX)[1]  # [records, bytes]
        for slot in map(Slot, fields.numbered("slots", 0, SLOTS_MAX - 1))
    }


def _optional_whole(fields: Fields, name: str, highest: int) -> int | None:
    return None if fields.absent(name) else fields.whole(name, 1, highest)


def _optional_text(fields: Fields, name: str) -> str | None:
    return None if fields.absent(name) else fields.text(name)
