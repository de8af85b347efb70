"""The operations on memories and on the cluster, each a generator that both clients run."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from memory_spine import arguments
from memory_spine.arguments import Identifier
from memory_spine.batch import OPERATIONS_MAX, matching
from memory_spine.conditions import UNCONDITIONAL, Condition
from memory_spine.core import Call, Core, path_segment
from memory_spine.drafts import MemoryChanges, MemoryFields, draft_of, patch_of, replacement_of
from memory_spine.effects import Operation
from memory_spine.errors import NotFound
from memory_spine.models import BatchResult, Cluster, Identity, ItemResult, Memory


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
    condition: Condition = UNCONDITIONAL,
    key: Identifier | None,
) -> Operation[Memory]:
    """Store a memory under the caller's id, if the condition holds."""
    memory_id, draft = replacement_of(memory, content, fields)
    return core.fetch(change_of(core, "PUT", memory_id, condition, body=draft, key=key), Memory)


def update(
    core: Core,
    memory_id: Identifier,
    changes: MemoryChanges,
    *,
    condition: Condition,
    key: Identifier | None,
) -> Operation[Memory]:
    """Change fields of a memory in one step."""
    call = change_of(core, "PATCH", memory_id, condition, body=patch_of(changes), key=key)
    return core.fetch(call, Memory)


def get(core: Core, memory_id: Identifier, include: Sequence[str]) -> Operation[Memory]:
    """Read one memory."""
    if include == ():
        return core.fetch(call_of(core, "GET", memory_id), Memory)
    included = arguments.texts(include, "include")
    query = {"include": ",".join(included)} if included else {}
    return core.fetch(call_of(core, "GET", memory_id, query=query), Memory)


def get_or_none(
    core: Core, memory_id: Identifier, include: Sequence[str]
) -> Operation[Memory | None]:
    """Read one memory, None when there is none."""
    try:
        return (yield from get(core, memory_id, include))
    except NotFound:
        return None


def delete(
    core: Core,
    memory_id: Identifier,
    *,
    condition: Condition = UNCONDITIONAL,
    key: Identifier | None,
) -> Operation[None]:
    """Delete one memory, if the condition holds; that there was none is no failure."""
    yield from core.call(change_of(core, "DELETE", memory_id, condition, key=key))


def touch(core: Core, memory_ids: Iterable[Identifier]) -> Operation[list[ItemResult]]:
    """Let the time to live of memories begin anew, in as few requests as the server's limits allow."""
    names = arguments.identifiers(memory_ids, "memory_ids")
    results: list[ItemResult] = []
    for begin in range(0, len(names), OPERATIONS_MAX):
        chunk = names[begin : begin + OPERATIONS_MAX]
        body = msgspec.json.encode({"ids": chunk})
        call = Call(method="POST", path=f"{core.memories_path()}:touch", body=body, write=True)
        answer = yield from core.fetch(call, BatchResult)
        results += matching(answer.results, chunk)
    return results


def whoami(core: Core) -> Operation[Identity]:
    """Ask who the server takes the caller for."""
    return core.fetch(Call(method="GET", path="/v1/whoami"), Identity)


def cluster(core: Core, *, slots: bool) -> Operation[Cluster]:
    """Ask a node how it sees the cluster."""
    query = {"include": "slots"} if arguments.flag(slots, "slots") else {}
    return core.fetch(Call(method="GET", path="/v1/cluster", query=query), Cluster)


def change_of(
    core: Core,
    method: str,
    memory_id: Identifier,
    condition: Condition,
    *,
    body: Mapping[str, Any] | None = None,
    key: Identifier | None = None,
) -> Call:
    """Return the call that changes one memory, if the condition holds."""
    condition = condition.under(core.options.fence)
    headers = {} if condition is UNCONDITIONAL else condition.headers()
    if method == "PATCH":
        headers["Content-Type"] = "application/merge-patch+json"
    name = arguments.identifier(memory_id, "memory_id")
    return Call(
        method=method,
        path=f"{core.memories_path()}/{path_segment(name)}",
        body=None if body is None else msgspec.json.encode(body),
        headers=headers,
        write=True,
        key=key,
        memory_id=name,
    )


def call_of(core: Core, method: str, memory_id: Identifier, **more: Any) -> Call:
    """Return a call about one memory; its answer must be about the same."""
    name = arguments.identifier(memory_id, "memory_id")
    path = f"{core.memories_path()}/{path_segment(name)}"
    return Call(method=method, path=path, memory_id=name, **more)
