"""The operations on memories and on the cluster, each a generator that both clients run."""

from collections.abc import Sequence
from typing import Any

import msgspec

from memory_spine import arguments
from memory_spine.arguments import Identifier
from memory_spine.core import Call, Core, path_segment
from memory_spine.drafts import MemoryFields, draft_of, replacement_of
from memory_spine.effects import Operation
from memory_spine.errors import NotFound
from memory_spine.models import Cluster, Identity, Memory


def create(
    core: Core,
    content: str,
    fields: MemoryFields,
    *,
    partition_by: Identifier | None,
    key: Identifier | None,
) -> Operation[Memory]:
    """Store a memory under an id that the server issues."""
    body = msgspec.json.encode(draft_of(content, fields, partition_by))
    call = Call(method="POST", path=core.memories_path(), body=body, write=True, key=key)
    return core.fetch(call, Memory)


def put(
    core: Core,
    memory: Identifier | Memory,
    content: str,
    fields: MemoryFields,
    *,
    key: Identifier | None,
) -> Operation[Memory]:
    """Store a memory under the caller's id, whatever stood there."""
    memory_id, draft = replacement_of(memory, content, fields)
    call = _call(core, "PUT", memory_id, body=msgspec.json.encode(draft), write=True, key=key)
    return core.fetch(call, Memory)


def get(core: Core, memory_id: Identifier, include: Sequence[str]) -> Operation[Memory]:
    """Read one memory."""
    if include == ():
        return core.fetch(_call(core, "GET", memory_id), Memory)
    included = arguments.texts(include, "include")
    query = {"include": ",".join(included)} if included else {}
    return core.fetch(_call(core, "GET", memory_id, query=query), Memory)


def get_or_none(
    core: Core, memory_id: Identifier, include: Sequence[str]
) -> Operation[Memory | None]:
    """Read one memory, None when there is none."""
    try:
        return (yield from get(core, memory_id, include))
    except NotFound:
        return None


def delete(core: Core, memory_id: Identifier, *, key: Identifier | None) -> Operation[None]:
    """Delete one memory; that there was none is no failure."""
    yield from core.call(_call(core, "DELETE", memory_id, write=True, key=key))


def whoami(core: Core) -> Operation[Identity]:
    """Ask who the server takes the caller for."""
    return core.fetch(Call(method="GET", path="/v1/whoami"), Identity)


def cluster(core: Core, *, slots: bool) -> Operation[Cluster]:
    """Ask a node how it sees the cluster."""
    query = {"include": "slots"} if arguments.flag(slots, "slots") else {}
    return core.fetch(Call(method="GET", path="/v1/cluster", query=query), Cluster)


def _call(core: Core, method: str, memory_id: Identifier, **more: Any) -> Call:
    name = arguments.identifier(memory_id, "memory_id")
    path = f"{core.memories_path()}/{path_segment(name)}"
    return Call(method=method, path=path, memory_id=name, **more)
