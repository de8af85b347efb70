"""Request bodies: bytes in, validated structs out, and the JSON that a record keeps.

A failure names the field. Malformed JSON is `invalid-request` (400); JSON that breaks a rule is
`validation-failed` (422). Source: api.md §1.2 and §3.3.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, TypeVar

import msgspec
from msgspec import UNSET

from spine_core.errors import InvalidInputError, ProblemError
from spine_core.records.ids import check_id
from spine_node.http import limits
from spine_node.http.schema import (
    DEFAULT_IMPORTANCE,
    NAME_PATTERN,
    TAG_PATTERN,
    MemoryCreate,
    MemoryFields,
    MemoryInput,
    MemoryPatch,
    MemoryPut,
)
from spine_node.ports import Patched

T = TypeVar("T")

_CHARS_SAFE = limits.CONTENT_BYTES_MAX // 4  # so many characters never exceed the bytes
_PLACE = re.compile(r" - at `\$\.?(.*)`$")
_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`")
_TAG = re.compile(TAG_PATTERN[1:-1])  # fullmatch: `$` would let a final line feed pass
_NAME = re.compile(NAME_PATTERN[1:-1])

_create = msgspec.json.Decoder(MemoryCreate)
_put = msgspec.json.Decoder(MemoryPut)
_patch = msgspec.json.Decoder(MemoryPatch)
_encode = msgspec.json.Encoder().encode


def decode(decoder: msgspec.json.Decoder[T], body: bytes, *, what: str = "the body") -> T:
    """Return the value of JSON in UTF-8; `what` it is, for the reader of an error.

    Raises:
        ProblemError: `invalid-request`.
        InvalidInputError: the JSON breaks a rule of its type.
    """
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise _invalid(str(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ProblemError("invalid-request", f"{what} is no JSON in UTF-8: {error}") from error
    except RecursionError as error:
        raise InvalidInputError(f"{what} is nested too deeply") from error


def decode_create(body: bytes) -> MemoryCreate:
    """Return the memory of a create, every rule checked."""
    memory = decode(_create, body)
    _check_name("partition_by", memory.partition_by)
    _check(memory)
    return memory


def decode_put(body: bytes, namespace: str, memory_id: str) -> MemoryPut:
    """Return the memory of a replacement, every rule checked; it must agree with its path."""
    memory = decode(_put, body)
    if memory.id is not None and memory.id != memory_id:
        raise InvalidInputError("differs from the path", path="id")
    if memory.namespace is not None and memory.namespace != namespace:
        raise InvalidInputError("differs from the path", path="namespace")
    _check(memory)
    return memory


def kept_json(memory: MemoryInput) -> bytes:
    """Return the client's fields as they are kept: defaults filled in, absent ones left out.

    Raises:
        InvalidInputError: the metadata is larger than its limit.
    """
    fields = MemoryFields(
        content=memory.content or "",
        metadata=memory.metadata or {},
        tags=memory.tags or [],
        agent_id=memory.agent_id or UNSET,
        user_id=memory.user_id or UNSET,
        thread_id=memory.thread_id or UNSET,
        importance=DEFAULT_IMPORTANCE if memory.importance is None else memory.importance,
        pinned=memory.pinned or False,
        ttl_seconds=memory.ttl_seconds or UNSET,
        derived_from=memory.derived_from or [],
        embedding=memory.embedding or UNSET,
    )
    kept = _encode(fields)
    # the whole is an upper bound of the part, and cheap to have
    bound = limits.METADATA_BYTES_MAX
    if len(kept) > bound and len(_encode(fields.metadata)) > bound:
        raise InvalidInputError(f"larger than {bound} bytes", path="metadata")
    return kept


def merge_patch(kept: bytes, patch: bytes) -> Patched:
    """Return a memory after a JSON merge patch (RFC 7396), every rule checked again.

    Raises:
        InvalidInputError: what comes of it is no valid memory.
    """
    merged = _merged(msgspec.json.decode(kept), msgspec.json.decode(patch))
    memory = decode(_patch, _encode(merged))
    _check(memory)
    return Patched(kept_json(memory), memory.ttl_seconds, memory.pinned or False)


def decode_patch(body: bytes) -> bytes:
    """Return a merge patch whose fields are those of a memory; what they make is checked later.

    Raises:
        ProblemError: `invalid-request`.
        InvalidInputError: a field has another type, or is the server's.
    """
    decode(_patch, body)
    return body


def _merged(kept: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return patch
    merged = dict(kept) if isinstance(kept, dict) else {}
    for name, item in patch.items():
        if item is None:
            merged.pop(name, None)
        else:
            merged[name] = _merged(merged.get(name), item)
    return merged


def check_json(container: dict[str, Any] | list[Any], depth_max: int, depth: int = 1) -> None:
    """Check that JSON nests at most `depth_max` containers and that its integers have 64 bits.

    Raises:
        InvalidInputError: the path, from here, of the value that does not.
    """
    if depth > depth_max:
        raise InvalidInputError(f"nested deeper than {depth_max}")
    pairs = container.items() if isinstance(container, dict) else enumerate(container)
    for name, item in pairs:
        kind = type(item)
        if kind is int and not limits.INTEGER_MIN <= item <= limits.INTEGER_MAX:
            raise InvalidInputError("an integer beyond 64 bits", path=_step(name))
        if kind is dict or kind is list:
            try:
                check_json(item, depth_max, depth + 1)
            except InvalidInputError as error:
                raise InvalidInputError(error.message, path=_step(name) + error.path) from None


def _step(name: str | int) -> str:
    return f".{name}" if isinstance(name, str) else f"[{name}]"


def _check(memory: MemoryInput) -> None:
    content = memory.content
    if not content and not memory.metadata:
        raise InvalidInputError("content or a non-empty metadata must be there", path="content")
    if content and len(content) > _CHARS_SAFE:
        _check_content(content)
    if memory.metadata:
        _check_metadata(memory.metadata)
    if memory.tags:
        _check_tags(memory.tags)
    _check_name("agent_id", memory.agent_id)
    _check_name("user_id", memory.user_id)
    _check_name("thread_id", memory.thread_id)
    check_ids(memory.derived_from or (), "derived_from")


@lru_cache(maxsize=8192)  # the same tags and names come over and over
def _is_tag(text: str) -> bool:
    return _TAG.fullmatch(text) is not None


@lru_cache(maxsize=8192)
def _is_name(text: str) -> bool:
    return _NAME.fullmatch(text) is not None


def _check_metadata(metadata: dict[str, Any]) -> None:
    try:
        check_json(metadata, limits.METADATA_DEPTH_MAX)
    except InvalidInputError as error:
        raise InvalidInputError(error.message, path="metadata" + error.path) from None


def _check_content(content: str) -> None:
    if len(content.encode()) > limits.CONTENT_BYTES_MAX:
        message = f"larger than {limits.CONTENT_BYTES_MAX} bytes of UTF-8"
        raise InvalidInputError(message, path="content")


def _check_tags(tags: list[str]) -> None:
    for i, tag in enumerate(tags):
        if not _is_tag(tag):
            raise InvalidInputError("no white space, no control characters", path=f"tags[{i}]")
    if len(set(tags)) < len(tags):
        raise InvalidInputError("a tag stands twice", path="tags")


def _check_name(field: str, value: str | None) -> None:
    if value is not None and not _is_name(value):
        raise InvalidInputError("no control characters, no line ends", path=field)


def check_ids(ids: Sequence[str], path: str) -> None:
    """Check ids, each at its place in a list of the body.

    Raises:
        InvalidInputError: `path[i]`.
    """
    for i, memory_id in enumerate(ids):
        try:
            check_id(memory_id)
        except InvalidInputError as error:
            raise InvalidInputError(error.message, path=f"{path}[{i}]") from error


def check_distinct_ids(ids: Sequence[str], path: str) -> None:
    """Check ids of which none may stand twice.

    Raises:
        InvalidInputError: `path[i]`, or `path`.
    """
    check_ids(ids, path)
    if len(set(ids)) < len(ids):
        raise InvalidInputError("an id stands twice", path=path)


def _invalid(text: str) -> InvalidInputError:
    """Return the error for what msgspec says, with the path in our words."""
    found = _PLACE.search(text)
    path = found[1] if found else ""
    message = _PLACE.sub("", text)
    unknown = _UNKNOWN.fullmatch(message)
    if unknown:
        path = f"{path}.{unknown[1]}" if path else unknown[1]
        message = "unknown field"
    return InvalidInputError(message, path=path)
