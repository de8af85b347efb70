"""A write that is complete but for its version."""

import msgspec

from spine_core.records.encoding import Record, join_body
from spine_core.records.ids import operation_id
from spine_core.records.versions import Version, hlc_of, ms_of
from spine_core.scalars import Slot
from spine_node.clock import Clock
from spine_node.server_fields import ServerFields, pack_server_fields


def operation_of(clock: Clock, subject: str, idempotency_key: str | None) -> int:
    """Return the number of an operation: the caller's own name for it, or one that nobody else has."""
    if idempotency_key is not None:
        return operation_id(subject, idempotency_key)
    return int.from_bytes(clock.entropy(8), "big")


class PendingWrite(msgspec.Struct, frozen=True, kw_only=True):
    """What a write stores, and where; each attempt may give it another version."""

    namespace: str
    memory_id: str
    slot: Slot
    key: bytes
    op: int
    flags: int
    expires_after_ms: int | None
    created_ms: int | None  # of what it replaces; None: this write creates
    writer: str
    memory: bytes  # the client's JSON; empty in a tombstone
    deadline: float

    def record(self, version: Version) -> Record:
        """Return the record of this write under a version."""
        now_ms, after = ms_of(hlc_of(version)), self.expires_after_ms
        fields = ServerFields(created_at=self.created_ms or now_ms, writer=self.writer)
        body = join_body(pack_server_fields(fields), self.memory)
        expires = now_ms + after if after else 0
        return Record(version=version, op=self.op, expires_ms=expires, flags=self.flags, body=body)
