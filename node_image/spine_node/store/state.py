"""The small state of a store that every operation needs: epoch, owned slots, floors.

The writer's copy runs ahead of the disk inside a transaction and is read again when a commit fails;
the `Store` has its own copies, which follow each commit.
"""

from dataclasses import dataclass, field

from spine_core.scalars import HLC_ZERO, Hlc, StoreNumber
from spine_node.store.feed import append_hlc_of
from spine_node.store.layout import (
    FLOOR,
    Tables,
    Transaction,
    slot_of_key,
    unpack_slots,
    unpack_u64,
)


@dataclass(slots=True, kw_only=True)
class State:
    """What the tables `meta`, `slot` and the end of `feed` say."""

    epoch: int  # 0: no document yet
    document: bytes | None  # canonical JSON
    cluster_id: str | None
    number: StoreNumber | None
    owned: frozenset[int]
    high_water: Hlc  # no HLC value above it was issued and made durable
    floors: dict[int, Hlc] = field(default_factory=dict)  # slot → hlc, 0 when missing
    feed_head: int = 0  # seq of the newest entry
    append_hlc: Hlc = HLC_ZERO  # of the newest entry
    registers: bool = False  # there is acceptor state; spares a look-up where there is none

    @classmethod
    def load(cls, txn: Transaction, tables: Tables) -> "State":
        """Read everything as of one transaction."""

        def meta(name: bytes) -> bytes | None:
            return txn.get(name, db=tables.meta)

        cluster_id, number = meta(b"cluster_id"), meta(b"number")
        state = cls(
            epoch=unpack_u64(meta(b"epoch")),
            document=meta(b"document"),
            cluster_id=None if cluster_id is None else cluster_id.decode(),
            number=None if number is None else StoreNumber(unpack_u64(number)),
            owned=unpack_slots(meta(b"owned")),
            high_water=Hlc(unpack_u64(meta(b"high_water"))),
        )
        state.registers = txn.stat(tables.reg)["entries"] > 0
        for key, value in txn.cursor(db=tables.slot):
            if key[2:] == FLOOR:
                state.floors[slot_of_key(key)] = Hlc(unpack_u64(value))
        newest = txn.cursor(db=tables.feed)
        if newest.last():
            state.feed_head = unpack_u64(newest.key())
            state.append_hlc = append_hlc_of(newest.value())
        return state
