"""Digests of slots, in memory: what two replicas compare instead of their records.

Per slot 64 buckets of 128 bit, each the XOR of xxh3_128(key ‖ version) over its records, so order
does not matter and every change is one XOR. Records buried at the slot's floor are left out: one
replica may have purged them already. Invariant: equal to a rebuild from a scan after every commit,
and never ahead of the disk. Source: protocol.md §9.1.
"""

import struct
from collections.abc import Iterator
from functools import reduce
from operator import xor
from typing import NamedTuple

from xxhash import xxh3_64_intdigest, xxh3_128_intdigest

from spine_core.records.encoding import header_of, is_absent, version_in
from spine_core.records.versions import Version, hlc_of, ms_of
from spine_core.scalars import Hlc

BUCKETS = 64
DIGEST_BYTES = 16

_COUNTS = struct.Struct(">HQQ")
_ROW_BYTES = _COUNTS.size + BUCKETS * DIGEST_BYTES
_EMPTY = [0] * BUCKETS


class DigestChange(NamedTuple):
    """What one write, replacement or removal does to its slot."""

    slot: int
    bucket: int
    digest: int  # to XOR in
    records: int
    bytes: int  # of key and value


class _Tally:
    __slots__ = ("buckets", "bytes", "records", "root")

    def __init__(self, buckets: list[int], records: int = 0, size: int = 0) -> None:
        self.buckets = buckets
        self.root = reduce(xor, buckets)
        self.records = records
        self.bytes = size


def bucket_of(key: bytes) -> int:
    """Return the bucket of a key, the same on every replica."""
    return xxh3_64_intdigest(key) & (BUCKETS - 1)


def is_buried(raw: bytes, floor: Hlc) -> bool:
    """Return whether a stored record is a tombstone, or expired, at or below the floor."""
    if hlc_of(version_in(raw)) > floor:
        return False
    return is_absent(header_of(raw), ms_of(floor))


def fingerprint(key: bytes, version: Version) -> int:
    """Return what a record adds to the digest of its bucket."""
    return xxh3_128_intdigest(key + version)


def change_of(
    slot: int, key: bytes, before: bytes | None, after: bytes | None, floor: Hlc
) -> DigestChange:
    """Return what replacing one stored value by another does; None is "not held"."""
    digest = records = size = 0
    if before is not None:
        records, size = -1, -len(key) - len(before)
        if not is_buried(before, floor):
            digest = fingerprint(key, version_in(before))
    if after is not None:
        records, size = records + 1, size + len(key) + len(after)
        if not is_buried(after, floor):
            digest ^= fingerprint(key, version_in(after))
    return DigestChange(slot, bucket_of(key), digest, records, size)


class Digests:
    """Digest and size of every slot that holds something. Event loop only."""

    def __init__(self) -> None:
        self._slots: dict[int, _Tally] = {}

    def apply(self, change: DigestChange) -> None:
        """Take in one change; its order among others does not matter."""
        slot, bucket, digest, records, size = change
        tally = self._slots.get(slot)
        if tally is None:
            tally = self._slots[slot] = _Tally([0] * BUCKETS)
        tally.buckets[bucket] ^= digest
        tally.root ^= digest
        tally.records += records
        tally.bytes += size

    def buckets(self, slot: int) -> list[int]:
        """Return the 64 digests of a slot."""
        tally = self._slots.get(slot)
        return list(_EMPTY if tally is None else tally.buckets)

    def root(self, slot: int) -> bytes:
        """Return one digest of the whole slot, zeros when it is empty."""
        tally = self._slots.get(slot)
        digest = 0 if tally is None else tally.root
        return digest.to_bytes(DIGEST_BYTES, "big")

    def size(self, slot: int) -> tuple[int, int]:
        """Return (records, bytes) held of a slot, tombstones included."""
        tally = self._slots.get(slot)
        return (0, 0) if tally is None else (tally.records, tally.bytes)

    def dump(self) -> bytes:
        """Return everything as bytes, for a clean stop."""
        return b"".join(self._rows())

    def _rows(self) -> Iterator[bytes]:
        for slot, tally in self._slots.items():
            yield _COUNTS.pack(slot, tally.records, tally.bytes)
            yield from (digest.to_bytes(DIGEST_BYTES, "big") for digest in tally.buckets)

    @classmethod
    def load(cls, dumped: bytes) -> "Digests":
        """Return what `dump` wrote."""
        digests = cls()
        for at in range(0, len(dumped), _ROW_BYTES):
            slot, records, size = _COUNTS.unpack_from(dumped, at)
            body = dumped[at + _COUNTS.size : at + _ROW_BYTES]
            buckets = [
                int.from_bytes(body[i : i + DIGEST_BYTES], "big")
                for i in range(0, len(body), DIGEST_BYTES)
            ]
            digests._slots[slot] = _Tally(buckets, records, size)
        return digests
