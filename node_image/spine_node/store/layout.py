"""How a store lies in LMDB: the tables, and every key and fixed-width value in them.

rec   slot u16 ‖ namespace ‖ 0x00 ‖ id  → record (spine_core.records.encoding)
reg   same key                          → acceptor state of a register
feed  last seq u64                      → the entries of one commit (feed.py)
slot  slot u16 ‖ kind u8                → floor u64 | pull checkpoint
meta  name                              → identity, document, high-water mark, saved digests

Integers are big-endian, so LMDB's byte order is their order: a slot is one contiguous range, and ids
that the server issues append at the tail of theirs. Source: protocol.md §2.5.
"""

import struct
from typing import NamedTuple, TypeAlias

import lmdb
import xxhash

FORMAT = 1
MAP_BYTES = 1 << 40  # address space, not disk: 1 TiB of map costs 8 KiB (the quota is separate)
DATA_FILE = "data.mdb"  # in the directory of a store
KEY_BYTES_MAX = 511  # LMDB's limit

checksum = xxhash.xxh3_64_intdigest  # of record bodies, wherever the node encodes or decodes one

_SLOT = struct.Struct(">H")
_U64 = struct.Struct(">Q")

FLOOR = b"\x00"  # kinds of `slot` rows
CHECKPOINT = b"\x01"


Table: TypeAlias = lmdb._Database  # noqa: SLF001 - LMDB gives its handle no public name
Transaction: TypeAlias = "lmdb.Transaction[bytes]"  # the stubs are generic, the classes are not
Cursor: TypeAlias = "lmdb.Cursor[bytes]"


class Tables(NamedTuple):
    """The open tables of one environment."""

    rec: Table
    reg: Table
    feed: Table
    slot: Table
    meta: Table


class Database(NamedTuple):
    """An open environment with its tables."""

    environment: lmdb.Environment
    tables: Tables


def open_tables(environment: lmdb.Environment) -> Tables:
    """Open every table, creating the missing ones."""
    return Tables(*(environment.open_db(name.encode()) for name in Tables._fields))


def key_of(slot: int, namespace: str, memory_id: str) -> bytes:
    """Return the key of a record or register, at most KEY_BYTES_MAX bytes for checked names."""
    return b"%b%b\x00%b" % (_SLOT.pack(slot), namespace.encode(), memory_id.encode())


def split_key(key: bytes) -> tuple[int, str, str]:
    """Return (slot, namespace, id) of a key; the inverse of `key_of`."""
    namespace, _, memory_id = key[2:].partition(b"\x00")
    return slot_of_key(key), namespace.decode(), memory_id.decode()


def namespace_of_key(key: bytes) -> str:
    """Return the namespace of a key."""
    return key[2 : key.index(0, 2)].decode()


def slot_of_key(key: bytes) -> int:
    """Return the slot that a key lies in."""
    return key[0] << 8 | key[1]


def slot_prefix(slot: int) -> bytes:
    """Return the two bytes that every key of a slot starts with."""
    return _SLOT.pack(slot)


def pack_u64(number: int) -> bytes:
    """Return eight bytes that sort like the number."""
    return _U64.pack(number)


def unpack_u64(value: bytes | None) -> int:
    """Return the number in a row, 0 for a row that is not there."""
    return 0 if value is None else int.from_bytes(value[:8], "big")


def pack_slots(slots: frozenset[int]) -> bytes:
    """Return a set of slots as sorted u16s."""
    return struct.pack(f">{len(slots)}H", *sorted(slots))


def unpack_slots(value: bytes | None) -> frozenset[int]:
    """Return the set that `pack_slots` wrote, empty for a row that is not there."""
    value = value or b""
    return frozenset(struct.unpack(f">{len(value) // 2}H", value))
