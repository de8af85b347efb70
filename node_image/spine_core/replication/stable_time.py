"""Stable time: the moment up to which every replica of a slot has every write.

One number of completed pulls drives purge, the trimming of session tokens and the lag metric. A
replica that is down freezes it; purging then waits and nothing else does.
"""

from collections.abc import Collection, Mapping
from itertools import permutations

from spine_core.records.hlc import MAX_DRIFT_MS, MAX_WRITE_MS
from spine_core.records.versions import hlc_from_ms
from spine_core.scalars import HLC_ZERO, Hlc, StoreNumber

# A write may first be applied MAX_WRITE_MS after its timestamp, by a clock that is MAX_DRIFT_MS behind.
_MARGIN = hlc_from_ms(MAX_WRITE_MS + MAX_DRIFT_MS)


def stable_time(
    rows: Mapping[tuple[StoreNumber, StoreNumber], Hlc], write_set: Collection[StoreNumber]
) -> Hlc:
    """Return F: every write with a timestamp <= F that any replica ever applied is on all of them.

    Args:
        rows: (reader, source) → HLC of the reader just before its last completed pull from the
            source began, under the present epoch. Further pairs do no harm.
        write_set: the stores that the slot is written to. A single one has no peer to pull from:
            its pair with itself stands for its own clock.

    Returns:
        0 as long as one ordered pair of the write set has not pulled.
    """
    stores = tuple(write_set)
    pairs = list(permutations(stores, 2)) or [(store, store) for store in stores]
    oldest = min((rows.get(pair, HLC_ZERO) for pair in pairs), default=HLC_ZERO)
    return max(HLC_ZERO, Hlc(oldest - _MARGIN))
