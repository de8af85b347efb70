"""What a caller writes: the fields of a memory as keyword arguments, and the JSON object they become."""

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any, TypedDict

from memory_spine.errors import ConfigError
from memory_spine.models import Memory, without_none


class MemoryFields(TypedDict, total=False):
    """The optional fields of a memory; what is left out has the server's default."""

    metadata: Mapping[str, Any]
    tags: Sequence[str]  # the first is the primary tag; some tags ask for a consistency model
    agent_id: str | None
    user_id: str | None
    thread_id: str | None
    importance: float  # 0..1, default 0.5
    pinned: bool
    ttl: int | None  # seconds
    embedding: Mapping[str, Any] | None  # {"vector": [...], "model": "..."}
    derived_from: Sequence[str]  # ids in the same namespace


def draft_of(content: str, fields: MemoryFields) -> dict[str, Any]:
    """Return the body of a write.

    Raises:
        TypeError: an unknown field, or one text where a sequence of texts belongs.
        ConfigError: a number in the metadata that JSON does not know.
    """
    if unknown := fields.keys() - MemoryFields.__annotations__.keys():
        raise TypeError(f"a memory has no field {', '.join(sorted(unknown))}")
    for name in ("tags", "derived_from"):
        if isinstance(fields.get(name), str):
            raise TypeError(f"{name} must be a sequence of texts, not one text")
    draft: dict[str, Any] = {"content": content, **fields}
    draft["ttl_seconds"] = draft.pop("ttl", None)
    return _checked(without_none(draft))


def replacement_of(memory: str | Memory, content: str, fields: MemoryFields) -> dict[str, Any]:
    """Return the body that replaces a memory: its fields as given, or a whole `Memory` given back.

    Raises:
        TypeError, ConfigError: as `draft_of`; or fields besides a whole `Memory`.
    """
    if isinstance(memory, str):
        return draft_of(content, fields)
    if content or fields:
        raise TypeError(
            "give a whole Memory or its fields, not both; Memory.replace changes fields"
        )
    return _checked(memory.to_dict())


def _checked(draft: dict[str, Any]) -> dict[str, Any]:
    if not _is_finite(draft.get("metadata")):
        raise ConfigError("metadata holds NaN or infinity, which JSON cannot tell")
    return draft


def _is_finite(value: object) -> bool:
    """Whether every number inside can be told in JSON; the encoder would make the others null."""
    if isinstance(value, Mapping):
        return all(map(_is_finite, value.values()))
    if isinstance(value, list | tuple | set | frozenset):
        return all(map(_is_finite, value))
    return not isinstance(value, float) or isfinite(value)
