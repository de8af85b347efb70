"""Sessions: what a client has written and seen, carried in a signed token, not by a server.

The payload of a token is `v u8 | t u64 | o u64 | n x (key hash u64 | version 14)`, sealed at most 503
characters. The seal proves that each version was acknowledged and that nobody pushes clocks forward.

Merging sessions is commutative, associative and idempotent: per record the newest write, of all
records the 16 newest, and `o` no lower than any write that was left out.
"""

import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, cast

from spine_core.errors import ProblemError
from spine_core.records.tokens import SESSION_CHARS_MAX, open_token, seal_token
from spine_core.records.versions import Version, hlc_of
from spine_core.scalars import HLC_ZERO, Hlc

WRITES_MAX = 16  # own writes in a token

_Write = tuple[int, Version]

_FORMAT = 1
_HEAD = struct.Struct(">BQQ")
_WRITE = struct.Struct(">Q14s")


class Session(NamedTuple):
    """What one client has written and seen, as far as later reads depend on it."""

    t: Hlc = HLC_ZERO  # highest HLC seen
    o: Hlc = HLC_ZERO  # highest HLC of an own write that is no longer in `writes`
    writes: tuple[_Write, ...] = ()  # (key hash, version), at most 16, oldest first

    def wrote(self, key_hash: int, version: Version) -> "Session":
        """Return the session after an acknowledged write."""
        write = (key_hash, version)
        alone = Session(hlc_of(version), HLC_ZERO, (write,))
        if self.writes and _age(write) <= _age(self.writes[-1]):
            return merge((self, alone))
        # as nearly always: it is the newest of all, and nothing has to be sorted
        others = tuple(held for held in self.writes if held[0] != key_hash)
        o = self.o
        if len(others) == WRITES_MAX:
            o = max(o, hlc_of(others[0][1]))
            others = others[1:]
        return Session(max(self.t, alone.t), o, (*others, write))

    def saw(self, hlc: Hlc) -> "Session":
        """Return the session after an answer with the timestamp `hlc`."""
        return self if hlc <= self.t else Session(hlc, self.o, self.writes)

    def need(self, key_hash: int) -> Version | None:
        """Return the version that a read of this record must not fall behind, if one is known."""
        return next((version for key, version in self.writes if key == key_hash), None)

    def trimmed(self, stable: Hlc) -> "Session":
        """Return the session without writes that every replica has.

        `stable` is the smallest stable time of all slots: a key hash does not tell the slot.
        """
        writes = tuple(write for write in self.writes if hlc_of(write[1]) > stable)
        return Session(self.t, self.o if self.o > stable else HLC_ZERO, writes)


def merge(sessions: Iterable[Session]) -> Session:
    """Return the session whose past is that of all `sessions` together."""
    t = o = HLC_ZERO
    newest: dict[int, Version] = {}
    for session in sessions:
        t = max(t, session.t)
        o = max(o, session.o)
        for key, version in session.writes:
            held = newest.get(key)
            if held is None or _age((key, held)) < _age((key, version)):
                newest[key] = version
    writes = sorted(newest.items(), key=_age)
    dropped, kept = writes[:-WRITES_MAX], writes[-WRITES_MAX:]
    if dropped:
        o = max(o, hlc_of(dropped[-1][1]))
    return Session(t, o, tuple(kept))


def _age(write: _Write) -> tuple[bytes, bytes, int]:
    """Return the order of writes in time: HLC before class.

    A record may start weak again after its register was purged; the strong tombstone from before
    must then not hide the need for the new weak write.
    """
    key, version = write
    return version[1:], version, key


def seal_session(session: Session, key: bytes) -> str:
    """Return the token of a session."""
    head = _HEAD.pack(_FORMAT, session.t, session.o)
    return seal_token(head + b"".join(_WRITE.pack(*write) for write in session.writes), key)


def open_session(text: str, keys: Sequence[bytes]) -> Session:
    """Return the session of a token that one of `keys` has signed.

    Raises:
        ProblemError: `invalid-session`.
    """
    payload = open_token(text, keys, chars_max=SESSION_CHARS_MAX)
    if payload is None or len(payload) < _HEAD.size or payload[0] != _FORMAT:
        raise ProblemError("invalid-session", "the session token was not made by this cluster")
    _, t, o = _HEAD.unpack_from(payload)
    writes = cast(Iterator[_Write], _WRITE.iter_unpack(payload[_HEAD.size :]))
    return Session(t, o, tuple(writes))
