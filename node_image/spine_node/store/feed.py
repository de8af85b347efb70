"""Rows of the feed: what one commit changed in `rec`, in order.

One row holds up to ROW_ENTRIES entries under the sequence number of its *last* one, so a commit of
many writes costs one more LMDB call, not one per write, and the row that holds `seq + 1` is the
first at or behind it. Value: append HLC u64, then per entry `length u16 ‖ key ‖ version`.
Source: protocol.md §12.1.
"""

import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import lmdb

from spine_core.records.versions import VERSION_BYTES, Version
from spine_core.scalars import Hlc
from spine_node.store.layout import pack_u64, unpack_u64

ROW_ENTRIES = 512  # bounds what a reader unpacks for one entry: about 40 KB

_LENGTH = struct.Struct(">H")
_HLC_BYTES = 8


class FeedEntry(NamedTuple):
    """One change of `rec`; `append_hlc` never falls from one entry to the next."""

    seq: int  # from 1, without gaps
    key: bytes
    version: Version
    append_hlc: Hlc


def pack_row(append_hlc: Hlc, entries: Iterable[tuple[bytes, Version]]) -> bytes:
    """Return the value of one row."""
    parts = [append_hlc.to_bytes(_HLC_BYTES, "big")]
    for key, version in entries:
        parts += (_LENGTH.pack(len(key)), key, version)
    return b"".join(parts)


def append_hlc_of(row: bytes) -> Hlc:
    """Return when a row was appended."""
    return Hlc(int.from_bytes(row[:_HLC_BYTES], "big"))


def unpack_row(last_seq: int, row: bytes) -> Sequence[FeedEntry]:
    """Return the entries of the row that is stored under `last_seq`."""
    found = list(_entries(row))
    first = last_seq - len(found) + 1
    append_hlc = append_hlc_of(row)
    return [FeedEntry(first + i, *entry, append_hlc) for i, entry in enumerate(found)]


def oldest_position(cursor: "lmdb.Cursor[bytes]") -> int:
    """Return the position before the oldest entry of the feed table."""
    return unpack_row(_last_seq(cursor), cursor.value())[0].seq - 1 if cursor.first() else 0


def position_after(cursor: "lmdb.Cursor[bytes]", hlc: Hlc) -> int | None:
    """Return the position before the first entry appended after a time; None if it may be gone.

    Append times never fall, so this is a binary search over sequence numbers: some twenty look-ups.
    """
    if not cursor.first():
        return 0
    if append_hlc_of(cursor.value()) > hlc:
        return 0 if oldest_position(cursor) == 0 else None
    low = _last_seq(cursor)  # appended at or before the time
    cursor.last()
    high = _last_seq(cursor)
    while low < high:
        middle = (low + high + 1) // 2
        cursor.set_range(pack_u64(middle))
        if append_hlc_of(cursor.value()) <= hlc:
            low = _last_seq(cursor)
        else:
            high = middle - 1
    return low


def _last_seq(cursor: "lmdb.Cursor[bytes]") -> int:
    return unpack_u64(cursor.key())


def _entries(row: bytes) -> Iterator[tuple[bytes, Version]]:
    at = _HLC_BYTES
    while at < len(row):
        start = at + _LENGTH.size
        end = start + int.from_bytes(row[at:start], "big")
        at = end + VERSION_BYTES
        yield row[start:end], Version(row[end:at])
