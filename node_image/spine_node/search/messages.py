"""What a coordinator asks the query index of a store, and the page that comes back.

A *position* is the place of a record in a list and totally ordered: (created_at in ms, namespace,
id), or (0, id, namespace) in a list ordered by id. `-created_at` is the exact reverse of
`created_at`, ties included. Sets of slots are bitmaps: slot *s* is bit *s* of an integer, on the
wire in big-endian bytes.
"""

import msgspec

from spine_node.ports import ListOrder

Position = tuple[int, str, str]
DAMAGED = b""  # in the place of a record whose copy fails its checksum


class QueryCall(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """One page of one store's part of a list."""

    namespace: str
    subtree: bool  # also the namespaces below, those of the server excepted
    filter: bytes  # canonical
    order: ListOrder
    after: Position | None  # the list goes on behind this position
    limit: int  # candidates wanted
    slots: bytes  # bitmap of the slots this store answers for
    needs: tuple[tuple[int, bytes], ...] = ()  # own writes of the session: (key hash, version)
    fresh: bool  # bring the index to the head of the feed first
    now_ms: int  # what relative times and expiry are counted from


class Candidate(msgspec.Struct, frozen=True, array_like=True):
    """A live record that matches, as this store holds it; or `DAMAGED`, and its row matches."""

    position: Position
    slot: int
    raw: bytes


class QueryPage(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """The candidates up to `end`, in the order of the list."""

    candidates: list[Candidate]
    end: Position | None  # the last position looked at; None when nothing follows
    unknown: tuple[int, ...]  # key hashes of needs that the slots asked for do not show
    lag_ms: int  # age of the oldest change that is not in the index
    # Bitmap of the slots asked for that hold a record of these namespaces which cannot be read, and
    # whose place in the list nobody here knows: for them this page is no answer.
    damaged: bytes = b""
    # (namespace, id) of the registers whose newest value this store has perhaps accepted, and not
    # learned: what it shows of them, or that it shows nothing, is no answer.
    open: tuple[tuple[str, str], ...] = ()


def slots_to_bytes(slots: int) -> bytes:
    """Return a bitmap of slots in its wire form."""
    return slots.to_bytes((slots.bit_length() + 7) // 8, "big")


def slots_of_bytes(data: bytes) -> int:
    """Return the bitmap of a wire form."""
    return int.from_bytes(data, "big")


def position_of(order: ListOrder, created_ms: int, namespace: str, memory_id: str) -> Position:
    """Return the place of a record in a list of this order."""
    return (0, memory_id, namespace) if order == "id" else (created_ms, namespace, memory_id)


def address_of(order: ListOrder, position: Position) -> tuple[str, str]:
    """Return (namespace, id) of the record at a position."""
    _, first, second = position
    return (second, first) if order == "id" else (first, second)


def comes_before(order: ListOrder, left: Position, right: Position) -> bool:
    """Tell whether `left` comes before `right` in a list of this order."""
    return left > right if order == "-created_at" else left < right
