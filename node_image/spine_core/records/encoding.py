"""The stored form of a record: a header of 41 bytes and an opaque body.

`fmt u8 | flags u8 | version 14 | op u64 | expires_ms u48 | length u24 | checksum u64`, big-endian,
then the body. The checksum covers the header before it and the body, so a flipped flag is seen as
well as a flipped character; its function is an argument, because the rules have no xxhash.
Anti-entropy, expiry and purge read headers only.

The body is `u16 length | server fields | the client's JSON`; a tombstone has no JSON.
"""

import struct
from collections.abc import Callable
from typing import NamedTuple

from spine_core.errors import CorruptRecordError
from spine_core.records.versions import VERSION_BYTES, Version

Checksum = Callable[[bytes], int]  # of bytes → u64

HEADER_BYTES = 41
FLAG_TOMBSTONE = 1
FLAG_PRUNED = 2
FLAG_PINNED = 4

_FORMAT = 1
_PREFIX = struct.Struct(">BB14sQ9s")  # expires_ms and length share nine bytes
_HEADER = struct.Struct(">BB14sQ9sQ")
_CHECKSUM = struct.Struct(">Q")
_LENGTH = struct.Struct(">H")
_LENGTH_BITS = 24
_VERSION = slice(2, 2 + VERSION_BYTES)


class Header(NamedTuple):
    """The fields of a stored record before its body."""

    version: Version
    op: int  # u64, the operation that made this value
    expires_ms: int  # since 1970; 0 never
    flags: int
    length: int  # of the body, in bytes
    checksum: int


class Record(NamedTuple):
    """One value of one record; a tuple, since a frozen dataclass takes a read three times as long."""

    version: Version
    op: int
    body: bytes
    expires_ms: int = 0  # since 1970; 0 never
    flags: int = 0


def encode(record: Record, checksum: Checksum) -> bytes:
    """Return the stored form."""
    prefix = _PREFIX.pack(
        _FORMAT,
        record.flags,
        record.version,
        record.op,
        (record.expires_ms << _LENGTH_BITS | len(record.body)).to_bytes(9, "big"),
    )
    return prefix + _CHECKSUM.pack(checksum(prefix + record.body)) + record.body


def version_in(buffer: bytes) -> Version:
    """Return the version of a stored record."""
    return Version(buffer[_VERSION])


def header_of(buffer: bytes) -> Header:
    """Return the header of a stored record, without a look at the checksum."""
    _, flags, version, op, packed, checksum = _HEADER.unpack_from(buffer)
    both = int.from_bytes(packed, "big")
    expires_ms, length = both >> _LENGTH_BITS, both & (1 << _LENGTH_BITS) - 1
    return Header(Version(version), op, expires_ms, flags, length, checksum)


def is_whole(buffer: bytes, checksum: Checksum) -> bool:
    """Whether a stored record is what `encode` made, of a format that we know."""
    if len(buffer) < HEADER_BYTES or buffer[0] != _FORMAT:
        return False
    expected = int.from_bytes(buffer[_PREFIX.size : HEADER_BYTES], "big")
    return checksum(buffer[: _PREFIX.size] + buffer[HEADER_BYTES:]) == expected


def decode(buffer: bytes, checksum: Checksum) -> Record:
    """Return the record.

    Raises:
        CorruptRecordError: the bytes are not what `encode` made.
    """
    if not is_whole(buffer, checksum):
        raise CorruptRecordError("no record of a known format, or its checksum does not match")
    _, flags, version, op, packed, _ = _HEADER.unpack_from(buffer)
    expires_ms = int.from_bytes(packed, "big") >> _LENGTH_BITS
    return Record(Version(version), op, buffer[HEADER_BYTES:], expires_ms, flags)


def is_absent(record: Header | Record, now_ms: int) -> bool:
    """Return whether readers see nothing: a tombstone, or expired."""
    return bool(record.flags & FLAG_TOMBSTONE) or 0 < record.expires_ms <= now_ms


def join_body(server_fields: bytes, client_json: bytes) -> bytes:
    """Return the body; `client_json` is empty in a tombstone."""
    return _LENGTH.pack(len(server_fields)) + server_fields + client_json


def split_body(body: bytes) -> tuple[bytes, bytes]:
    """Return (server fields, client JSON) of a body made by `join_body`."""
    end = _LENGTH.size + int.from_bytes(body[: _LENGTH.size], "big")
    return body[_LENGTH.size : end], body[end:]
