"""Addresses: namespaces, ids, the slot they give, and the names a server issues.

A record's address is (namespace, id), `id := [partition "~"] name`. The id alone gives the slot:
whoever writes the same partition before `~` shares it, whatever the partition strategy.
"""

import re
from functools import lru_cache
from hashlib import sha256
from typing import Literal

from spine_core.errors import InvalidInputError
from spine_core.scalars import Slot

PartitionStrategy = Literal[
    "hash", "agent", "tag"
]  # what an issued id starts with: see `partition_prefix`

SLOTS = 4096  # key ranges; fixed for the life of a cluster
NAMESPACE_CHARS_MAX = 255
NAMESPACE_LABELS_MAX = 8
ID_CHARS_MAX = 200
ENTROPY_BYTES = 10  # of a ULID
KEY_TIME_OFF_MS_MAX = 24 * 3600 * 1000  # a time-ordered key further off does not give the time

_SERVER_LABEL_CHARS = len("._leases")  # the one label that the server itself may append
_PARTITION_CHARS_MAX = 64

_CLIENT_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_LABEL = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,63}")
_ID = re.compile(r"(?:[A-Za-z0-9._:@-]+~)?[A-Za-z0-9._:@-]+")
_PARTITION = re.compile(rf"[A-Za-z0-9._:@-]{{1,{_PARTITION_CHARS_MAX}}}")
_ULID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")
_UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_DIGIT = {digit: value for value, digit in enumerate(_CROCKFORD)}
_PAIRS = [high + low for high in _CROCKFORD for low in _CROCKFORD]  # ten bits at a time


@lru_cache(maxsize=4096)  # few namespaces, named over and over
def check_namespace(text: str, *, allow_server: bool = False) -> str:
    """Return the namespace if it is one.

    Labels that start with `_` belong to the server; `allow_server` admits them, and room for one.

    Raises:
        InvalidInputError: path `namespace`.
    """
    label = _LABEL if allow_server else _CLIENT_LABEL
    labels = text.split(".")
    if len(text) > NAMESPACE_CHARS_MAX + allow_server * _SERVER_LABEL_CHARS:
        raise InvalidInputError(f"longer than {NAMESPACE_CHARS_MAX}", path="namespace")
    if len(labels) > NAMESPACE_LABELS_MAX + allow_server:
        raise InvalidInputError(f"more than {NAMESPACE_LABELS_MAX} labels", path="namespace")
    if not all(map(label.fullmatch, labels)):
        raise InvalidInputError(
            "labels are letters, digits, '_' and '-', start with a letter or digit,"
            " have at most 64 characters and are joined with '.'",
            path="namespace",
        )
    return text


def check_id(text: str) -> str:
    """Return the id if it is one.

    Raises:
        InvalidInputError: path `id`.
    """
    if len(text) > ID_CHARS_MAX:
        raise InvalidInputError(f"longer than {ID_CHARS_MAX}", path="id")
    if text in {".", ".."}:
        raise InvalidInputError("URL normalisers eat it; take another name", path="id")
    if _ID.fullmatch(text) is None:
        raise InvalidInputError("ids are [partition '~'] name of A-Z a-z 0-9 . _ : @ -", path="id")
    return text


def slot_of(namespace: str, memory_id: str, slots: int = SLOTS) -> Slot:
    """Return the slot of a record: the top bits of SHA-256(namespace, 0, partition or id)."""
    routed = memory_id.partition("~")[0]
    digest = sha256(f"{namespace}\0{routed}".encode()).digest()
    return Slot(int.from_bytes(digest[:2], "big") * slots >> 16)


def key_hash(namespace: str, memory_id: str) -> int:
    """Return the u64 by which a session token names a record."""
    return _u64(f"{namespace}\0{memory_id}")


def operation_id(subject: str, key: str) -> int:
    """Return the u64 that marks every attempt of one keyed operation."""
    return _u64(f"{subject}\0{key}")


def _u64(text: str) -> int:
    return int.from_bytes(sha256(text.encode()).digest()[:8], "big")


def partition_prefix(value: str | None) -> str:
    """Return what an issued id starts with: "" or `value~`, hashed when an id cannot hold it."""
    if not value:
        return ""
    if _PARTITION.fullmatch(value):
        return f"{value}~"
    return f"h-{sha256(value.encode()).hexdigest()[:16]}~"


def ulid(ms: int, entropy: bytes) -> str:
    """Return the 26 characters of a ULID: 48 bits of milliseconds, then 10 bytes of entropy."""
    assert len(entropy) == ENTROPY_BYTES
    value = ms << 80 | int.from_bytes(entropy, "big")
    return "".join(_PAIRS[value >> shift & 1023] for shift in range(120, -1, -10))


def keyed_name(subject: str, namespace: str, key: str, now_ms: int) -> str:
    """Return the name of a keyed create: a retry gets the same, no two callers meet.

    The time part is that of the key if it is a ULID or UUIDv7 of the last or next day, so that
    inserts stay in order; else it comes from the hash like the rest. A batch gives its operations
    the keys KEY/0, KEY/1, …: the time is that of KEY.
    """
    digest = sha256(f"{subject}\0{namespace}\0{key}".encode()).digest()
    ms = _key_time(key.partition("/")[0])
    if ms is None or abs(ms - now_ms) >= KEY_TIME_OFF_MS_MAX:
        ms = int.from_bytes(digest[ENTROPY_BYTES : ENTROPY_BYTES + 6], "big")
    return ulid(ms, digest[:ENTROPY_BYTES])


def _key_time(key: str) -> int | None:
    """Return the milliseconds inside a time-ordered key, None for any other key."""
    if _ULID.fullmatch(key.upper()):
        ms = 0
        for digit in key[:10].upper():
            ms = ms << 5 | _DIGIT[digit]
        return ms
    if _UUID7.fullmatch(key.lower()):
        return int(key[:8] + key[9:13], 16)
    return None
