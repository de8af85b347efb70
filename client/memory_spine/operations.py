"""The operations on memories and on the cluster, each a generator that both clients run."""

from collections.abc import Sequence

import msgspec

from memory_spine.core import Call, Core, path_segment
from memory_spine.drafts import MemoryFields, draft_of, replacement_of
from memory_spine.effects import Operation
from memory_spine.errors import NotFound
from memory_spine.models import Cluster, Identity, Memory


def create(
    core: Core, content: str, fields: MemoryFields, *, partition_by: str | None, key: str | None
) -> Operation[Memory]:
    """Store a memory under an id that the server issues."""
    draft = draft_of(content, fields)
    if partition_by is not None:
        draft["partition_by"] = partition_by
    body = msgspec.json.encode(draft)
    call = Call(method="POST", path=core.memories_path(), body=body, write=True, key=key)
    return core.fetch(call, Memory)


def put(
    core: Core, memory: str | Memory, content: str, fields: MemoryFields, *, key: str | None
) -> Operation[Memory]:
    """Store a memory under the caller's id, whatever stood there."""
    address = memory if isinstance(memory, str) else memory.id
    body = msgspec.json.encode(replacement_of(memory, content, fields))
    call = Call(method="PUT", path=_path(core, address), body=body, write=True, key=key)
    return core.fetch(call, Memory)


def get(core: Core, memory_id: str, include: Sequence[str]) -> Operation[Memory]:
    """Read one memory."""
    query = {"include": ",".join(include)} if include else {}
    return core.fetch(Call(method="GET", path=_path(core, memory_id), query=query), Memory)


def get_or_none(core: Core, memory_id: str, include: Sequence[str]) -> Operation[Memory | None]:
    """Read one memory, None when there is none."""
    try:
        return (yield from get(core, memory_id, include))
    except NotFound:
        return None


def delete(core: Core, memory_id: str, *, key: str | None) -> Operation[None]:
    """Delete one memory; that there was none is no failure."""
    yield from core.call(Call(method="DELETE", path=_path(core, memory_id), write=True, key=key))


def whoami(core: Core) -> Operation[Identity]:
    """Ask who the server takes the caller for."""
    return core.fetch(Call(method="GET", path="/v1/whoami"), Identity)


def cluster(core: Core, *, slots: bool) -> Operation[Cluster]:
    """Ask a node how it sees the cluster."""
    query = {"include": "slots"} if slots else {}
    return core.fetch(Call(method="GET", path="/v1/cluster", query=query), Cluster)


def _path(core: Core, memory_id: str) -> str:
    return f"{core.memories_path()}/{path_segment(memory_id)}"
