"""Versions of a record: 14 bytes whose order as bytes is the order of the writes.

`class u8 | hlc u64 | store u32 | rev u8`, big-endian. A strong version beats every weak one of the
same record; within a class the hybrid logical clock decides, then the store. A store issues an HLC
value once, so two writes never tie. The ETag leaves class and rev out and survives the upgrade of
a weak record to a register.
"""

import struct
from typing import NewType

Version = NewType("Version", bytes)

VERSION_BYTES = 14
WEAK = 0
STRONG = 1
PRUNED_REV = 255  # a prune marker for exactly the version that carries it; 0 is a write
COUNTER_BITS = 16  # of an HLC, below the milliseconds since 1970

ABSENT = Version(bytes(VERSION_BYTES))  # below every version that was ever written

_LAYOUT = struct.Struct(">BQIB")


def make_version(hlc: int, store: int, *, kind: int = WEAK, rev: int = 0) -> Version:
    """Return the version of a write stamped `hlc` by `store`: region << 24 | store number."""
    return Version(_LAYOUT.pack(kind, hlc, store, rev))


def kind_of(version: Version) -> int:
    """Return the class: WEAK or STRONG."""
    return version[0]


def hlc_of(version: Version) -> int:
    """Return the hybrid logical clock: milliseconds << 16 | counter."""
    return int.from_bytes(version[1:9], "big")


def etag_of(version: Version) -> str:
    """Return `hlc-store` in hex, 16 and 8 digits, without quotes."""
    digits = version.hex()
    return f"{digits[2:18]}-{digits[18:26]}"


def ms_of(hlc: int) -> int:
    """Return the milliseconds since 1970 of an HLC value."""
    return hlc >> COUNTER_BITS


def hlc_from_ms(ms: int) -> int:
    """Return the smallest HLC value of a millisecond."""
    return ms << COUNTER_BITS
