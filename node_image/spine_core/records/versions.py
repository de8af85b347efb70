"""Versions of a record: 14 bytes whose order as bytes is the order of the writes.

`class u8 | hlc u64 | origin u32 | rev u8`, big-endian. A strong version beats every weak one of the
same record; within a class the hybrid logical clock decides, then the origin. A store issues an HLC
timestamp once, so two writes never tie. The ETag leaves class and rev out and survives the upgrade of
a weak record to a register.
"""

import re
import struct
from typing import NewType

from spine_core.scalars import Hlc, Origin

Version = NewType("Version", bytes)

VERSION_BYTES = 14
WEAK = 0
STRONG = 1
PRUNED_REV = 255  # a prune marker for exactly the version that carries it; 0 is a write
COUNTER_BITS = 16  # of an HLC, below the milliseconds since 1970

ABSENT = Version(bytes(VERSION_BYTES))  # below every version that was ever written

_ETAG = re.compile("([0-9a-f]{16})-([0-9a-f]{8})")
_LAYOUT = struct.Struct(">BQIB")


def make_version(hlc: Hlc, origin: Origin, *, kind: int = WEAK, rev: int = 0) -> Version:
    """Return the version of a write that the store `origin` timestamped with `hlc`."""
    return Version(_LAYOUT.pack(kind, hlc, origin, rev))


def kind_of(version: Version) -> int:
    """Return the class: WEAK or STRONG."""
    return version[0]


def hlc_of(version: Version) -> Hlc:
    """Return the timestamp of the hybrid logical clock."""
    return Hlc(int.from_bytes(version[1:9], "big"))


def origin_in(version: Version) -> Origin:
    """Return which store issued the version, and in which region."""
    return Origin(int.from_bytes(version[9:13], "big"))


def etag_of(version: Version) -> str:
    """Return `hlc-origin` in hex, 16 and 8 digits, without quotes."""
    digits = version.hex()
    return f"{digits[2:18]}-{digits[18:26]}"


def parse_etag(text: str) -> tuple[Hlc, Origin] | None:
    """Return timestamp and origin of an ETag, None for a text that `etag_of` never made."""
    found = _ETAG.fullmatch(text)
    return None if found is None else (Hlc(int(found[1], 16)), Origin(int(found[2], 16)))


def ms_of(hlc: Hlc) -> int:
    """Return the milliseconds since 1970 of an HLC timestamp."""
    return hlc >> COUNTER_BITS


def hlc_from_ms(ms: int) -> Hlc:
    """Return the smallest HLC timestamp of a millisecond; of a duration, what to add for it."""
    return Hlc(ms << COUNTER_BITS)
