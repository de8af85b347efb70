"""Rows of the feed: what one commit changed in `rec`, in order.

One row holds up to ROW_ENTRIES entries under the sequence number of its *last* one, so a commit of
many writes costs one more LMDB call, not one per write, and the row that holds `seq + 1` is the
first at or behind it. Value: append HLC u64, then per entry `length u16 ‖ key ‖ version`.
Source: protocol.md §12.1.
"""

import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from spine_core.records.versions import VERSION_BYTES, Version
from spine_core.scalars import Hlc

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


def _entries(row: bytes) -> Iterator[tuple[bytes, Version]]:
    at = _HLC_BYTES
    while at < len(row):
        start = at + _LENGTH.size
        end = start + int.from_bytes(row[at:start], "big")
        at = end + VERSION_BYTES
        yield row[start:end], Version(row[end:at])
