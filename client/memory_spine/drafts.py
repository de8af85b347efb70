"""What a caller writes: the fields of a memory as keyword arguments, and the JSON object they become."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any, TypedDict, Unpack

from memory_spine import arguments
from memory_spine.arguments import Identifier
from memory_spine.errors import ConfigError
from memory_spine.models import Embedding, Memory


class MemoryFields(TypedDict, total=False):
    """The optional fields of a memory; what is left out or None has the server's default."""

    metadata: Mapping[str, Any] | None  # or an object with fields, such as a dataclass
    tags: Sequence[str] | None  # the first is the primary tag; some ask for a consistency model
    agent_id: Identifier | None
    user_id: Identifier | None
    thread_id: Identifier | None
    importance: float | None  # 0..1, default 0.5
    pinned: bool | None
    ttl: float | timedelta | None  # seconds, rounded up
    embedding: Mapping[str, Any] | Embedding | None  # {"vector": [...], "model": "..."}
    derived_from: Iterable[Identifier] | None  # ids in the same namespace


class MemoryChanges(MemoryFields, total=False):
    """The fields that `update` changes: what is left out stays as it is, None removes it."""

    content: str | None


class Draft:
    """A memory that nobody has stored yet: `Draft("text", tags=["task"])`."""

    def __init__(self, content: str = "", **fields: Unpack[MemoryFields]) -> None:
        self.body = draft_of(content, fields)


_CHECKS: Mapping[str, Callable[[object, str], Any]] = {
    "metadata": arguments.fields,
    "tags": arguments.texts,
    "agent_id": arguments.identifier,
    "user_id": arguments.identifier,
    "thread_id": arguments.identifier,
    "importance": arguments.number,
    "pinned": arguments.flag,
    "ttl": arguments.seconds,
    "embedding": arguments.vector,
    "derived_from": arguments.identifiers,
}


def draft_of(
    content: str, fields: MemoryFields, partition_by: Identifier | None = None
) -> dict[str, Any]:
    """Return the body of a write.

    Raises:
        TypeError: an unknown field, or a value of the wrong kind.
        ConfigError: a value that cannot be stored as it is.
    """
    _check_names(fields)
    draft: dict[str, Any] = {"content": arguments.text(content, "content")}
    for name, value in fields.items():
        if value is not None:
            draft[_stored(name)] = _CHECKS[name](value, name)
    if partition_by is not None:
        draft["partition_by"] = arguments.identifier(partition_by, "partition_by")
    return draft


def patch_of(changes: MemoryChanges) -> dict[str, Any]:
    """Return the merge patch of an update: null where a field is removed.

    Raises:
        TypeError, ConfigError: as `draft_of`; or nothing would change.
    """
    fields: dict[str, Any] = dict(changes)
    if not fields:
        raise ConfigError("update changes nothing: give a field and its new value")
    patch: dict[str, Any] = {}
    if "content" in fields:
        content = fields.pop("content")
        patch["content"] = None if content is None else arguments.text(content, "content")
    _check_names(fields)
    for name, value in fields.items():
        patch[_stored(name)] = None if value is None else _CHECKS[name](value, name)
    return patch


def replacement_of(
    memory: Identifier | Memory, content: str, fields: MemoryFields
) -> tuple[str, dict[str, Any]]:
    """Return id and body that replace a memory: its fields as given, or a whole `Memory` given back.

    Raises:
        TypeError, ConfigError: as `draft_of`; or fields besides a whole `Memory`.
    """
    if not isinstance(memory, Memory):
        return arguments.identifier(memory, "memory"), draft_of(content, fields)
    if content or fields:
        raise TypeError(
            "give a whole Memory or its fields, not both; Memory.replace changes fields"
        )
    return arguments.identifier(memory.id, "memory.id"), _given_back(memory)


def _given_back(memory: Memory) -> dict[str, Any]:
    """Return a memory as the body of a PUT: the caller's fields checked, the server's as they came."""
    given: dict[str, Any] = {name: getattr(memory, _stored(name)) for name in _CHECKS}
    draft = draft_of(memory.content, given)  # type: ignore[arg-type]
    return {**memory.server_fields(), **draft}


def _check_names(fields: Mapping[str, Any]) -> None:
    if unknown := fields.keys() - _CHECKS.keys():
        raise TypeError(f"a memory has no field {', '.join(sorted(unknown))}")


def _stored(name: str) -> str:
    """Return what a field is called in JSON."""
    return "ttl_seconds" if name == "ttl" else name
