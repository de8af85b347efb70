"""API keys: `spine_<key id>_<secret>_<check sum>`, lower-case base32. Pure: entropy is an argument.

The check sum (CRC-32 of everything before its underscore) lets a scanner recognise a leaked key without
a call. A server keeps only the SHA-256 of the whole text: 200 random bits need no slow hash.

Source: api.md §5.
"""

import hashlib
import re
import zlib
from base64 import b32encode
from collections.abc import Callable, Iterable
from enum import StrEnum

from spine_core.errors import InvalidInputError

ID_ENTROPY_BYTES = 7  # 10 characters hold 50 bits; the last 6 bits are not used
SECRET_ENTROPY_BYTES = 25  # 40 characters, 200 bits

ALL_NAMESPACES = "*"  # what a key that is good for every namespace lists


class Scope(StrEnum):
    """What a credential may be good for. The list is closed."""

    READ = "memory:read"
    WRITE = "memory:write"
    ERASE = "memory:erase"
    LEASE = "lease"
    ADMIN = "namespace:admin"
    CLUSTER = "cluster:read"


_KEY = re.compile(r"(spine_([a-z2-7]{10})_[a-z2-7]{40})_([a-z2-7]{7})", re.ASCII)


def _base32(data: bytes) -> str:
    return b32encode(data).decode().rstrip("=").lower()


def _check_sum(text: str) -> str:
    return _base32(zlib.crc32(text.encode()).to_bytes(4, "big"))


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def make_key(id_entropy: bytes, secret_entropy: bytes) -> tuple[str, str, str]:
    """Return (key text, key id, SHA-256 hex of the text); the text is shown once and kept by nobody."""
    assert len(id_entropy) == ID_ENTROPY_BYTES, "the key id wants 7 random bytes"
    assert len(secret_entropy) == SECRET_ENTROPY_BYTES, "the secret wants 25 random bytes"
    key_id = _base32(id_entropy)[:10]
    body = f"spine_{key_id}_{_base32(secret_entropy)}"
    text = f"{body}_{_check_sum(body)}"
    return text, key_id, _sha256(text)


def new_key(
    entropy: Callable[[int], bytes],
    *,
    subject: str,
    scopes: Iterable[str],
    namespaces: Iterable[str],
) -> tuple[str, dict[str, object]]:
    """Return (key text, to be shown once; its entry for `keys.yaml`); `entropy(n)` gives n bytes."""
    text, key_id, sha256 = make_key(entropy(ID_ENTROPY_BYTES), entropy(SECRET_ENTROPY_BYTES))
    entry: dict[str, object] = {
        "id": key_id,
        "sha256": sha256,
        "subject": subject,
        "scopes": [str(scope) for scope in scopes],
        "namespaces": list(namespaces),
    }
    return text, entry


def parse_key(text: str) -> tuple[str, str]:
    """Return (key id, SHA-256 hex of the text) of a well-formed key.

    Raises:
        InvalidInputError: the text is no API key, or its check sum is wrong (a typing error).
    """
    match = _KEY.fullmatch(text)
    if match is None or _check_sum(match[1]) != match[3]:
        raise InvalidInputError("this is no API key", path="api_key")
    return match[2], _sha256(text)
