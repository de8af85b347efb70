"""Numbers that must not be mixed up: store numbers, slots, origins and times, each its own type.

A type checker refuses a slot where a store number is meant, and milliseconds where a timestamp of
the hybrid logical clock is. At run time all of them are plain ints, so they cost nothing.

Milliseconds have no type of their own: nearly every use is a sum or a difference, which is a plain
int again, so each would need a cast; their names end in `_ms` instead. What must not happen, taking
them for an HLC timestamp, the type `Hlc` already refuses.
"""

from typing import Final, NewType

from spine_core.errors import InvalidInputError

StoreNumber = NewType("StoreNumber", int)  # 1..STORE_NUMBER_MAX, given once in a cluster's life
Slot = NewType("Slot", int)  # a key range of the ring, 0..slots - 1
Hlc = NewType("Hlc", int)  # hybrid logical clock: milliseconds since 1970 << 16 | counter
Origin = NewType("Origin", int)  # who wrote a version: region << 24 | store number, a u32

STORE_NUMBER_MAX: Final = 2**24 - 1  # an origin's lower 24 bits
REGION_MAX: Final = 255  # an origin's upper byte
HLC_ZERO: Final = Hlc(0)  # before every timestamp
HOME_REGION: Final = 0  # the only region there is until regions are built

_NUMBER_BITS: Final = 24


def check_region(region: int, *, path: str) -> None:
    """Refuse the number of a region other than 0.

    The number is part of every version a store writes, for ever: a cluster that began as region 3
    before regions exist could meet another one of the same number.

    Raises:
        InvalidInputError: any other number, with the `path` at which it was given.
    """
    if region != HOME_REGION:
        message = f"regions are not built yet: leave it out or set {HOME_REGION}, not {region}"
        raise InvalidInputError(message, path=path)


def origin_of(region: int, number: StoreNumber) -> Origin:
    """Return the origin of a store's writes."""
    assert 0 <= region <= REGION_MAX, "a region's number is one byte"
    assert 0 < number <= STORE_NUMBER_MAX, "a store has a number before it writes"
    return Origin(region << _NUMBER_BITS | number)


def region_of(origin: Origin) -> int:
    """Return the region in which a version was written."""
    return origin >> _NUMBER_BITS


def number_of(origin: Origin) -> StoreNumber:
    """Return the number, inside its region, of the store that issued a version."""
    return StoreNumber(origin & STORE_NUMBER_MAX)
