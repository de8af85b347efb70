"""Idempotency keys: ULIDs, so that the server can issue time-ordered ids from them.

Source: https://github.com/ulid/spec (48 bits of milliseconds, 80 of chance, Crockford base32).
"""

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = [high + low for high in _ALPHABET for low in _ALPHABET]
ENTROPY_BYTES = 10


def ulid(unix_ms: int, entropy: bytes) -> str:
    """Return 26 characters that sort by time."""
    assert len(entropy) == ENTROPY_BYTES, "a ULID takes 80 bits of chance"
    number = unix_ms << 80 | int.from_bytes(entropy)
    return "".join([_PAIRS[number >> shift & 1023] for shift in range(120, -1, -10)])
