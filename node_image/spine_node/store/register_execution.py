"""The operations on registers, as functions of the open transaction: load, decide, store what changed.

`spine_core.replication.registers.acceptor` decides. A replica whose copy is damaged answers `damaged`
and takes part in no round: what it cannot read it cannot vouch for. A learned value heals a damaged
record, never a damaged acceptor state, whose promises nobody knows any more.
"""

from spine_core.errors import CorruptRecordError
from spine_core.records.encoding import FLAG_TOMBSTONE, Record, decode, encode
from spine_core.records.versions import ABSENT, STRONG, kind_of
from spine_core.replication.registers import acceptor
from spine_core.replication.registers.acceptor import Accepted, Late, Nack, Promise, Replica
from spine_core.replication.registers.encoding import (
    decode_state,
    decode_value,
    encode_state,
    encode_value,
)
from spine_core.replication.registers.state import Ballot, RegisterState
from spine_core.replication.replica_status import ReplicaStatus
from spine_node.store.checks import refusal
from spine_node.store.draft import Draft
from spine_node.store.layout import checksum
from spine_node.store.operations import (
    Accept,
    AcceptReply,
    Learn,
    Prepare,
    PrepareReply,
    StoredEntry,
)
from spine_node.store.space import Space

_NOT_READ = Record(ABSENT, 0, b"")  # stands for a record that is damaged


def prepare(draft: Draft, operation: Prepare) -> PrepareReply:
    """Promise, and tell what the replica has."""
    refused = refusal(draft, operation.slot, operation.epoch)
    if refused is not None:
        return PrepareReply(ReplicaStatus(refused))
    if draft.space >= Space.OUT:
        return PrepareReply(ReplicaStatus.FULL)
    try:
        before = _load(draft, operation.slot, operation.key)
    except CorruptRecordError:
        return PrepareReply(ReplicaStatus.DAMAGED)
    after, answer = acceptor.prepare(before, operation.ballot)
    if isinstance(answer, Nack):
        return PrepareReply(ReplicaStatus.NACK, promised=answer.promised)
    _store(draft, operation.slot, operation.key, before, after)
    return _promise(answer)


def _promise(promise: Promise) -> PrepareReply:
    value = encode_value(promise.value, checksum)
    return PrepareReply(
        ReplicaStatus.OK,
        accepted=promise.accepted,
        learned=promise.learned,
        value=value,
        floor=promise.floor,
    )


def accept(draft: Draft, operation: Accept) -> AcceptReply:
    """Accept a value, unless a higher round is under way."""
    refused = refusal(draft, operation.slot, operation.epoch)
    if refused is not None:
        return AcceptReply(ReplicaStatus(refused))
    try:
        before = _load(draft, operation.slot, operation.key)
        value = decode_value(operation.value, checksum)
    except CorruptRecordError:
        return AcceptReply(ReplicaStatus.DAMAGED)
    if draft.space >= Space.LOW and not value.record.flags & FLAG_TOMBSTONE:
        return AcceptReply(ReplicaStatus.FULL)
    after, answer = acceptor.accept(before, operation.ballot, value, draft.now_hlc)
    match answer:
        case Accepted():
            _store(draft, operation.slot, operation.key, before, after)
            return AcceptReply(ReplicaStatus.OK)
        case Nack(promised):
            return AcceptReply(ReplicaStatus.NACK, promised)
        case Late():
            return AcceptReply(ReplicaStatus.LATE)


def learn(draft: Draft, operation: Learn) -> AcceptReply:
    """Take over a chosen value, or the one that was accepted under its ballot."""
    refused = refusal(draft, operation.slot, operation.epoch)
    if refused is not None:
        return AcceptReply(ReplicaStatus(refused))
    key, slot, ballot = operation.key, operation.slot, operation.ballot
    try:
        before = _load_to_learn(draft, slot, key, ballot)
        if operation.value is not None:
            value = decode_value(operation.value, checksum)
        elif before.register is not None and before.register.accepted == ballot:
            assert before.register.value is not None, "accepted under a ballot"
            value = before.register.value
        else:
            return AcceptReply(
                ReplicaStatus.MISDIRECTED
            )  # never accepted here: only the value helps
    except CorruptRecordError:
        return AcceptReply(ReplicaStatus.DAMAGED)
    _store(draft, slot, key, before, acceptor.learn(before, ballot, value))
    return AcceptReply(ReplicaStatus.OK)


def merge_entry(draft: Draft, slot: int, entry: StoredEntry, *, whole: bool) -> bool:
    """Take over the register of a pulled entry; return whether anything changed.

    A full transfer brings all of it (R4). Any other pull brings what was learned and nothing else: an
    accepted value on its way from replica to replica could become chosen without a round.

    Raises:
        CorruptRecordError: the entry, or what is here, is damaged.
    """
    assert entry.register is not None, "an entry with acceptor state"
    held = None if entry.record is None else decode(entry.record, checksum)
    theirs = decode_state(entry.register, held, checksum)
    if not whole:
        if not theirs.learned:
            return False
        assert theirs.value is not None, "learned"
        before = _load_to_learn(draft, slot, entry.key, theirs.accepted)
        after = acceptor.learn(before, theirs.accepted, theirs.value)
    else:
        before = _load(draft, slot, entry.key)
        after = acceptor.transfer(before, held, theirs)
    return _store(draft, slot, entry.key, before, after)


def _load(draft: Draft, slot: int, key: bytes) -> Replica:
    raw, register = draft.held(key), draft.register(key)
    held = None if raw is None else decode(raw, checksum)
    state = None if register is None else decode_state(register, held, checksum)
    if state is None and held is not None and kind_of(held.version) == STRONG:
        raise CorruptRecordError("the acceptor state of a register is missing")
    return Replica(held, state, draft.floor(slot))


def _load_to_learn(draft: Draft, slot: int, key: bytes, ballot: Ballot) -> Replica:
    """Load without a record that is damaged, where the value to be learned takes its place.

    One of a lower round does not: what was accepted here may be chosen, and must not be denied.
    """
    try:
        return _load(draft, slot, key)
    except CorruptRecordError:
        register = draft.register(key)
        state = None if register is None else decode_state(register, _NOT_READ, checksum)
        if state is not None and state.learned:
            if ballot < state.accepted:
                raise
            state = RegisterState(state.promised)
        return Replica(None, state, draft.floor(slot))


def _store(draft: Draft, slot: int, key: bytes, before: Replica, after: Replica) -> bool:
    """Write what a decision has changed; return whether it was anything."""
    if after.register is not None and after.register != before.register:
        draft.set_register(key, encode_state(after.register, checksum))
    if after.held is not None and after.held != before.held:
        draft.write(slot, key, encode(after.held, checksum), draft.held(key))
    return after != before
