"""Session tokens: what a client has written and seen, signed, without state on any server.

`v u8 | t u64 | o u64 | n x (key hash u64 | version 14) | MAC 8`, in URL-safe base64 without
padding: at most 503 characters. The MAC proves that each version was acknowledged and that nobody
pushes clocks forward. Page tokens have the same form with an opaque payload.

Merging sessions is commutative, associative and idempotent: per record the newest write, of all
records the 16 newest, and `o` no lower than any write that was left out.
"""

import binascii
import hmac
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from spine_core.errors import ProblemError
from spine_core.records.versions import Version, hlc_of
from spine_core.scalars import HLC_ZERO, Hlc

WRITES_MAX = 16  # own writes in a token
TOKEN_CHARS_MAX = 600
PAGE_CHARS_MAX = 2048

KeyKind = Literal["session", "page", "cursor", "link", "admin"]
_Write = tuple[int, Version]

_FORMAT = 1
_MAC_BYTES = 8
_HEAD = struct.Struct(">BQQ")
_WRITE = struct.Struct(">Q14s")
_TO_URL = bytes.maketrans(b"+/", b"-_")
_FROM_URL = str.maketrans("-_", "+/")


@dataclass(frozen=True, slots=True)
class Session:
    """The past of one client."""

    t: Hlc = HLC_ZERO  # highest HLC seen
    o: Hlc = HLC_ZERO  # highest HLC of an own write that is no longer in `writes`
    writes: tuple[_Write, ...] = ()  # (key hash, version), at most 16, oldest first

    def wrote(self, key_hash: int, version: Version) -> "Session":
        """Return the session after an acknowledged write."""
        return merge((self, Session(hlc_of(version), HLC_ZERO, ((key_hash, version),))))

    def saw(self, hlc: Hlc) -> "Session":
        """Return the session after an answer stamped `hlc`."""
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


def derive_key(secret: bytes, kind: KeyKind) -> bytes:
    """Return the key for one purpose from the secret of the cluster."""
    return hmac.digest(secret, kind.encode(), "sha256")


def seal(session: Session, key: bytes) -> str:
    """Return the token of a session."""
    head = _HEAD.pack(_FORMAT, session.t, session.o)
    return _seal(head + b"".join(_WRITE.pack(*write) for write in session.writes), key)


def open_session(text: str, keys: Sequence[bytes]) -> Session:
    """Return the session of a token that one of `keys` has signed.

    Raises:
        ProblemError: `invalid-session`.
    """
    payload = _open(text, keys) if len(text) <= TOKEN_CHARS_MAX else None
    if payload is None or payload[:1] != bytes((_FORMAT,)):
        raise ProblemError("invalid-session", "the session token was not made by this cluster")
    _, t, o = _HEAD.unpack_from(payload)
    writes = _WRITE.iter_unpack(payload[_HEAD.size :])
    return Session(t, o, tuple((key, Version(version)) for key, version in writes))


def seal_page(payload: bytes, key: bytes) -> str:
    """Return the token of a page or cursor."""
    return _seal(payload, key)


def open_page(text: str, keys: Sequence[bytes]) -> bytes:
    """Return the payload of a page token that one of `keys` has signed.

    Raises:
        ProblemError: `invalid-request`, path `page_token`.
    """
    payload = _open(text, keys) if len(text) <= PAGE_CHARS_MAX else None
    if payload is None:
        raise ProblemError(
            "invalid-request",
            "the page token is not valid",
            errors=(("page_token", "was not made by this cluster"),),
        )
    return payload


def _seal(payload: bytes, key: bytes) -> str:
    signed = payload + _mac(payload, key)
    text = binascii.b2a_base64(signed, newline=False).rstrip(b"=")
    return text.translate(_TO_URL).decode()


def _open(text: str, keys: Sequence[bytes]) -> bytes | None:
    padded = text.translate(_FROM_URL) + "=" * (-len(text) % 4)
    try:
        signed = binascii.a2b_base64(padded, strict_mode=True)
    except ValueError:  # binascii.Error is one, and so is text beyond ASCII
        return None
    payload, mac = signed[:-_MAC_BYTES], signed[-_MAC_BYTES:]
    if any(hmac.compare_digest(mac, _mac(payload, key)) for key in keys):
        return payload
    return None


def _mac(payload: bytes, key: bytes) -> bytes:
    return hmac.digest(key, payload, "sha256")[:_MAC_BYTES]
