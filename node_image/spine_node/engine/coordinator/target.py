"""The record that a read is about."""

import msgspec

from spine_core.scalars import Slot


class Target(msgspec.Struct, frozen=True):
    """One record to read: where it lies, and until when the answer is wanted."""

    slot: Slot
    key: bytes  # of the store
    deadline: float
