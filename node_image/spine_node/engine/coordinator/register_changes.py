"""What a client asks of a register, as data that travels to its proposer, and as a change of its value.

A change is made from what the round finds, so `created_at` is exact and a merge patch loses nothing.
"""

from enum import StrEnum
from typing import NamedTuple

import msgspec

from spine_core.errors import InvalidInputError
from spine_core.records.encoding import FLAG_PINNED, FLAG_TOMBSTONE, Record, join_body
from spine_core.replication.registers.changes import (
    Basis,
    ChangeKind,
    Make,
    NewValue,
    Refusal,
    RegisterChange,
)
from spine_core.replication.registers.state import Ballot, LeaseGuard
from spine_core.scalars import Slot
from spine_node.engine.coordinator.lease_changes import (
    LeaseAsk,
    acquired,
    encode_state,
    released,
    renewed,
)
from spine_node.ports import MergePatch
from spine_node.server_fields import ServerFields, pack_server_fields, read_body


class Action(StrEnum):
    """What is done to the record."""

    PUT = "put"
    DELETE = "delete"
    PATCH = "patch"  # `memory` is a merge patch
    TOUCH = "touch"  # a new expiry, from the time to live that it has
    STAMP = "stamp"  # the value stays, and the guard rises
    ACQUIRE = "acquire"  # these three: `memory` is a `LeaseAsk`
    RENEW = "renew"
    RELEASE = "release"


_LEASES = {Action.ACQUIRE: acquired, Action.RENEW: renewed, Action.RELEASE: released}
_ask = msgspec.json.Decoder(LeaseAsk)


class ChangeCall(msgspec.Struct, array_like=True, frozen=True, kw_only=True):
    """One operation on one register."""

    slot: Slot
    key: bytes
    op: int
    action: Action
    kind: ChangeKind
    writer: str
    memory: bytes = b""
    flags: int = 0
    expires_after_ms: int = 0  # 0: never
    if_match: bytes | None = None  # a ballot
    lease: str | None = None
    fence: int = 0
    unguard: bool = False


class PatchFault(msgspec.Struct, frozen=True):
    """Why a patch is refused: `reason` of the refusal."""

    path: str
    message: str


def change_of(call: ChangeCall, merge: MergePatch) -> RegisterChange:
    """Return the change that a call asks for."""
    return RegisterChange(
        kind=call.kind,
        op=call.op,
        make=_make_of(call, merge),
        if_match=None if call.if_match is None else Ballot(call.if_match),
        fence=None if call.lease is None else LeaseGuard(call.lease, call.fence),
        unguard=call.unguard,
    )


class _Makes(NamedTuple):
    """The next value of each action, for one call."""

    call: ChangeCall
    merge: MergePatch

    def put(self, basis: Basis) -> NewValue:
        call = self.call
        expires = basis.now_ms + call.expires_after_ms if call.expires_after_ms else 0
        return NewValue(_body(basis, call.writer, call.memory), expires, call.flags)

    def patch(self, basis: Basis) -> NewValue | Refusal:
        assert basis.live is not None, "an update"
        try:
            patched = self.merge(read_body(basis.live.body)[1], self.call.memory)
        except InvalidInputError as error:
            return Refusal(msgspec.json.encode(PatchFault(error.path, error.message)).decode())
        ttl_ms = (patched.ttl_seconds or 0) * 1000
        expires = basis.now_ms + ttl_ms if ttl_ms else 0
        flags = FLAG_PINNED if patched.pinned else 0
        return NewValue(_body(basis, self.call.writer, patched.memory), expires, flags)

    def touch(self, basis: Basis) -> NewValue | None:
        assert basis.live is not None, "an update"
        ttl_ms = _ttl_ms(basis.live)
        if not ttl_ms:
            return None
        return NewValue(basis.live.body, basis.now_ms + ttl_ms, basis.live.flags)

    def stamp(self, basis: Basis) -> NewValue:
        if basis.live is None:
            return NewValue(_body(basis, self.call.writer, b""), flags=FLAG_TOMBSTONE)
        server, memory = read_body(basis.live.body)
        body = _body(basis, server.writer, memory)
        return NewValue(body, basis.live.expires_ms, basis.live.flags)

    def lease(self, basis: Basis) -> NewValue | Refusal:
        fields = _LEASES[self.call.action](basis, _ask.decode(self.call.memory))
        if isinstance(fields, Refusal):
            return fields
        return NewValue(_body(basis, self.call.writer, encode_state(fields)))


def _make_of(call: ChangeCall, merge: MergePatch) -> Make:
    makes = _Makes(call, merge)
    by_action: dict[Action, Make] = {
        Action.PUT: makes.put,
        Action.DELETE: makes.put,
        Action.PATCH: makes.patch,
        Action.TOUCH: makes.touch,
        Action.STAMP: makes.stamp,
    }
    return by_action.get(call.action, makes.lease)


def _body(basis: Basis, writer: str, memory: bytes) -> bytes:
    """Return the body of the next value: its first writer's time, the newest writer, the guard."""
    created_at = basis.now_ms
    if basis.live is not None:
        created_at = read_body(basis.live.body)[0].created_at
    guard = basis.guard and {"lease": basis.guard.lease, "fence": basis.guard.fence}
    fields = ServerFields(created_at=created_at, writer=writer, guard=guard)
    return join_body(pack_server_fields(fields), memory)


class _TimeToLive(msgspec.Struct):
    ttl_seconds: int = 0


_ttl = msgspec.json.Decoder(_TimeToLive)


def _ttl_ms(live: Record) -> int:
    return _ttl.decode(read_body(live.body)[1]).ttl_seconds * 1000
