"""API keys: read from `keys.yaml`, asked for on every request, re-read when the file changes.

The file holds no secret, only the SHA-256 of each key. A broken file keeps the old keys and is
counted. Source: api.md §5.
"""

import hmac
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Annotated

import msgspec
import yaml
from multidict import MultiMapping

from spine_core.api_keys import ALL_NAMESPACES, Scope
from spine_core.errors import InvalidInputError, ProblemError
from spine_core.records.ids import check_namespace
from spine_node.http.headers import AUTHORIZATION, single
from spine_node.http.identity import ANONYMOUS, OPERATOR, Principal
from spine_node.http.rate import TokenBucket

logger = logging.getLogger(__name__)

_BEARER = "bearer "
_KEY_ID = slice(6, 16)  # of `spine_<key id>_…`


class Rate(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Requests that one key may send to one node."""

    per_second: Annotated[float, msgspec.Meta(gt=0)]
    burst: Annotated[int, msgspec.Meta(ge=1)]


class KeyEntry(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """One entry of `keys.yaml`."""

    id: Annotated[str, msgspec.Meta(pattern="^[a-z2-7]{10}$")]
    sha256: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
    subject: Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
    scopes: list[Scope]
    namespaces: list[str]
    not_after: datetime | None = None
    rate: Rate | None = None


class KeysFile(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The whole of `keys.yaml`."""

    keys: list[KeyEntry]


@dataclass(frozen=True, slots=True)
class _Key:
    sha256: str
    principal: Principal
    bucket: TokenBucket | None


class Credentials:
    """The API keys that this node accepts; without a file every caller is `ANONYMOUS`.

    Raises:
        InvalidInputError: the file is missing or broken when the node starts.
    """

    def __init__(self, file: Path | None, on_refusal: Callable[[], None] = lambda: None) -> None:
        """`on_refusal` is called when a changed file is broken."""
        self._on_refusal = on_refusal
        self._file = file
        self._signature = _signature(file)
        self._keys: Mapping[str, _Key] = {} if file is None else load_keys(file)

    @property
    def needed(self) -> bool:
        """Whether a caller must show a key."""
        return self._file is not None

    def refresh(self) -> None:
        """Read the file again if it changed; a broken one leaves everything as it was."""
        signature = _signature(self._file)
        if self._file is None or signature == self._signature:
            return
        self._signature = signature
        try:
            self._keys = load_keys(self._file)
        except InvalidInputError as error:
            self._on_refusal()
            logger.error("keys_refused", extra={"file": str(self._file), "reason": str(error)})
        else:
            logger.info("keys_loaded", extra={"file": str(self._file), "keys": len(self._keys)})

    def identify(self, headers: MultiMapping[str], now_ms: int, now_s: float) -> Principal:
        """Return the caller. `now_ms` is since 1970, `now_s` of the loop's clock.

        Raises:
            ProblemError: `unauthenticated` or `rate-limited`.
        """
        if self._file is None:
            return ANONYMOUS
        key = self._find(bearer(headers))
        not_after_ms = key.principal.not_after_ms
        if not_after_ms is not None and now_ms >= not_after_ms:
            raise ProblemError("unauthenticated", "the key has expired")
        wait_s = key.bucket.take(now_s) if key.bucket else 0.0
        if wait_s > 0:
            retry_after_ms = int(wait_s * 1000) + 1
            raise ProblemError(
                "rate-limited", "the key is over its rate", retry_after_ms=retry_after_ms
            )
        return key.principal

    def accepts(self, principal: Principal, now_ms: int) -> bool:
        """Return whether a caller that was let in would still be, with the same rights."""
        if self._file is None:
            return True
        key = self._keys.get(principal.key_id or "")
        expired = principal.not_after_ms is not None and now_ms >= principal.not_after_ms
        return key is not None and key.principal == principal and not expired

    def _find(self, text: str) -> _Key:
        # the check sum is for scanners: what does not hash to a known key is no key either way
        key = self._keys.get(text[_KEY_ID])
        shown = sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
        if key is None or not hmac.compare_digest(key.sha256, shown):
            raise ProblemError("unauthenticated", "the key is not known here")
        return key


def bearer(headers: MultiMapping[str]) -> str:
    """Return the credential of a request.

    Raises:
        ProblemError: `unauthenticated`, there is none.
    """
    text = single(headers, AUTHORIZATION) or ""
    if text[: len(_BEARER)].lower() != _BEARER:
        raise ProblemError("unauthenticated", "send Authorization: Bearer and a key")
    return text[len(_BEARER) :].strip()


def identify_operator(headers: MultiMapping[str], tokens: tuple[str, ...]) -> Principal:
    """Return the caller of the admin plane, whose credential is one of `tokens`.

    Raises:
        ProblemError: `unauthenticated`.
    """
    shown = bearer(headers).encode("utf-8", "surrogateescape")
    if not any(hmac.compare_digest(shown, token.encode()) for token in tokens):
        raise ProblemError("unauthenticated", "this is not the admin credential")
    return OPERATOR


def load_keys(file: Path) -> Mapping[str, _Key]:
    """Return the keys of a file: key id → key.

    Raises:
        InvalidInputError: it cannot be read, or breaks a rule.
    """
    try:
        entries = msgspec.convert(yaml.safe_load(file.read_bytes()), KeysFile).keys
    except (OSError, yaml.YAMLError, msgspec.ValidationError, UnicodeDecodeError) as error:
        raise InvalidInputError(str(error), path=str(file)) from error
    keys = {entry.id: _key(entry) for entry in entries}
    if len(keys) < len(entries):
        raise InvalidInputError("a key id stands twice", path=str(file))
    return keys


def _key(entry: KeyEntry) -> _Key:
    for namespace in entry.namespaces:
        if namespace != ALL_NAMESPACES:
            check_namespace(namespace)
    if entry.not_after is not None and entry.not_after.tzinfo is None:
        raise InvalidInputError("not_after needs a time zone", path=entry.id)
    principal = Principal(
        subject=entry.subject,
        auth="api-key",
        scopes=frozenset(entry.scopes),
        namespaces=tuple(entry.namespaces),
        key_id=entry.id,
        not_after_ms=int(entry.not_after.timestamp() * 1000) if entry.not_after else None,
    )
    rate = entry.rate
    return _Key(entry.sha256, principal, TokenBucket(rate.per_second, rate.burst) if rate else None)


def _signature(file: Path | None) -> tuple[int, int, int] | None:
    """Return modification time, size and inode of the file (mounted Secrets change the inode), or None."""
    if file is None or not file.exists():
        return None
    status = file.stat()
    return status.st_mtime_ns, status.st_size, status.st_ino
