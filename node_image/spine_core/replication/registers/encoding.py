"""The stored and the sent form of a register: its value, and the acceptor state around one.

value  `base 14 | base_op u64 | forgotten 12 | changes u8 | lease u8 | changes × (op u64 | ballot 12)
        | lease, fence u64, where a lease guards it | the record, as it is stored`
state  `fmt u8 | flags u8 | promised 12 | accepted 12 | checksum u64 | value, where one is accepted`

The value of a state that was learned has no record: that lies in the record table alone. The checksum
covers all of the state but itself; the record has its own, too. All integers are big-endian.
"""

import struct
from typing import NamedTuple

from spine_core.errors import CorruptRecordError
from spine_core.records.encoding import Checksum, Record, decode, encode, version_in
from spine_core.records.versions import ABSENT, Version
from spine_core.replication.registers.state import (
    NO_BALLOT,
    Ballot,
    LeaseGuard,
    RegisterState,
    RegisterValue,
)

_FORMAT = 1
_LEARNED = 1
_VALUE = struct.Struct(">14sQ12sBB")
_CHANGE = struct.Struct(">Q12s")
_FENCE = struct.Struct(">Q")
_STATE = struct.Struct(">BB12s12s")
_CHECKSUM = struct.Struct(">Q")
_VALUE_AT = _STATE.size + _CHECKSUM.size


class StateHead(NamedTuple):
    """What the first bytes of a stored state say."""

    promised: Ballot
    accepted: Ballot
    learned: bool


def encode_value(value: RegisterValue, checksum: Checksum) -> bytes:
    """Return the form in which a value is sent, its record included."""
    return _about(value) + encode(value.record, checksum)


def decode_value(data: bytes, checksum: Checksum) -> RegisterValue:
    """Return the value.

    Raises:
        CorruptRecordError: the bytes are not what `encode_value` made.
    """
    value, at = _value_about(data, 0, None)
    return value._replace(record=decode(data[at:], checksum))


def encode_state(state: RegisterState, checksum: Checksum) -> bytes:
    """Return the form in which a state is stored."""
    value = b""
    if state.value is not None:
        value = _about(state.value) if state.learned else encode_value(state.value, checksum)
    flags = _LEARNED if state.learned else 0
    head = _STATE.pack(_FORMAT, flags, state.promised, state.accepted)
    return head + _CHECKSUM.pack(checksum(head + value)) + value


def state_head(data: bytes) -> StateHead:
    """Return the ballots of a stored state, without a look at the checksum."""
    _, flags, promised, accepted = _STATE.unpack_from(data)
    return StateHead(Ballot(promised), Ballot(accepted), bool(flags & _LEARNED))


def unlearned_version(data: bytes) -> Version:
    """Return the version of the value in a stored state that is not learned, `ABSENT` without one."""
    if len(data) <= _VALUE_AT:
        return ABSENT
    *_, count, lease = _VALUE.unpack_from(data, _VALUE_AT)
    fence = _FENCE.size if lease else 0
    return version_in(data[_VALUE_AT + _VALUE.size + count * _CHANGE.size + lease + fence :])


def decode_state(data: bytes, held: Record | None, checksum: Checksum) -> RegisterState:
    """Return the state.

    Args:
        data: what `encode_state` made.
        held: the record in the record table, which is the value's where that was learned.
        checksum: of the store.

    Raises:
        CorruptRecordError: the bytes are not what `encode_state` made, or the record is missing.
    """
    if len(data) < _VALUE_AT or data[0] != _FORMAT:
        raise CorruptRecordError("no acceptor state of a known format")
    head, value = data[: _STATE.size], data[_VALUE_AT:]
    if checksum(head + value) != _CHECKSUM.unpack_from(data, _STATE.size)[0]:
        raise CorruptRecordError("the checksum of an acceptor state does not match")
    promised, accepted, learned = state_head(data)
    if accepted == NO_BALLOT:
        return RegisterState(promised)
    if not learned:
        return RegisterState(promised, accepted, decode_value(value, checksum))
    if held is None:
        raise CorruptRecordError("the record of a learned value is missing")
    return RegisterState(promised, accepted, _value_about(value, 0, held)[0], learned=True)


def _about(value: RegisterValue) -> bytes:
    """Return all of a value but its record."""
    lease = b"" if value.guard is None else value.guard.lease.encode()
    head = _VALUE.pack(value.base, value.base_op, value.forgotten, len(value.changes), len(lease))
    changes = b"".join(_CHANGE.pack(op, ballot) for op, ballot in value.changes)
    fence = b"" if value.guard is None else _FENCE.pack(value.guard.fence)
    return head + changes + lease + fence


def _value_about(data: bytes, at: int, record: Record | None) -> tuple[RegisterValue, int]:
    """Return a value with the record given, and where the bytes behind it begin."""
    try:
        base, base_op, forgotten, count, lease_length = _VALUE.unpack_from(data, at)
        at += _VALUE.size
        changes = []
        for _ in range(count):
            op, ballot = _CHANGE.unpack_from(data, at)
            changes.append((op, Ballot(ballot)))
            at += _CHANGE.size
        guard = None
        if lease_length:
            lease = data[at : at + lease_length].decode()
            at += lease_length
            guard = LeaseGuard(lease, _FENCE.unpack_from(data, at)[0])
            at += _FENCE.size
    except (struct.error, UnicodeDecodeError) as error:
        raise CorruptRecordError(f"no value of a register: {error}") from error
    value = RegisterValue(
        record or _NO_RECORD, Version(base), base_op, tuple(changes), Ballot(forgotten), guard
    )
    return value, at


_NO_RECORD = Record(Version(bytes(14)), 0, b"")  # until the one behind the value is decoded
