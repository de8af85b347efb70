"""Signed tokens: bytes that a client carries for us and cannot change. Pure.

A token is `payload | MAC 8` in URL-safe base64 without padding. Every purpose has its own key, all
derived from the secret of the cluster, so a token for one is refused by every other. What is inside
is the business of its purpose: sessions.py, the page token of a list, the cursor of a watch.

The MAC is keyed BLAKE2s of 64 bits (RFC 7693), one pass over the payload: every answer carries a token.
To forge one takes 2^63 requests on average, and a forged one gives access to nothing, since every request
is still checked against its credential.
"""

import binascii
import hmac
from collections.abc import Sequence
from hashlib import blake2s
from typing import Final, Literal

SESSION_CHARS_MAX: Final = 600  # a session token of 16 writes has 503
PAGE_CHARS_MAX: Final = 2048  # a page token holds the last key of its page
CURSOR_CHARS_MAX: Final = 2048  # a cursor holds a feed number of each store that is followed

KeyKind = Literal["session", "page", "cursor", "link", "admin"]

_MAC_BYTES = 8
_TO_URL = bytes.maketrans(b"+/", b"-_")
_FROM_URL = bytes.maketrans(b"-_", b"+/")


def derive_key(secret: bytes, kind: KeyKind) -> bytes:
    """Return the key for one purpose from the secret of the cluster."""
    return hmac.digest(secret, kind.encode(), "sha256")


def seal_token(payload: bytes, key: bytes) -> str:
    """Return the token of a payload."""
    signed = payload + _mac(payload, key)
    text = binascii.b2a_base64(signed, newline=False).rstrip(b"=")
    return text.translate(_TO_URL).decode()


def open_token(text: str, keys: Sequence[bytes], *, chars_max: int) -> bytes | None:
    """Return the payload of a token that one of `keys` has signed, None of any other text.

    Several keys are accepted while a secret is rotated; the first one signs.
    """
    if len(text) > chars_max:
        return None
    try:
        digits = text.encode("ascii").translate(_FROM_URL) + b"=" * (-len(text) % 4)
        signed = binascii.a2b_base64(digits, strict_mode=True)
    except ValueError:  # binascii.Error is one, and so is text beyond ASCII
        return None
    payload, mac = signed[:-_MAC_BYTES], signed[-_MAC_BYTES:]
    if any(hmac.compare_digest(mac, _mac(payload, key)) for key in keys):
        return payload
    return None


def _mac(payload: bytes, key: bytes) -> bytes:
    return blake2s(payload, key=key, digest_size=_MAC_BYTES).digest()
