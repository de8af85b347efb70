"""Batches: operations are written down in a block and sent together when it ends."""

from collections.abc import Mapping
from typing import Any, Unpack

import msgspec

from memory_spine.core import Call, Core
from memory_spine.drafts import MemoryFields, draft_of, replacement_of
from memory_spine.effects import Operation
from memory_spine.models import BatchResult, Memory


class Batch:
    """Up to 500 operations, one request, results in the same order. Not a transaction."""

    def __init__(self) -> None:
        self._operations: list[Mapping[str, Any]] = []
        self._result: BatchResult | None = None

    @property
    def result(self) -> BatchResult:
        """What became of each operation.

        Raises:
            RuntimeError: the block has not ended yet.
        """
        if self._result is None:
            raise RuntimeError("a batch has its result after its block")
        return self._result

    def create(
        self, content: str = "", *, partition_by: str | None = None, **fields: Unpack[MemoryFields]
    ) -> None:
        """Add a memory whose id the server issues."""
        draft = draft_of(content, fields)
        if partition_by is not None:
            draft["partition_by"] = partition_by
        self._operations.append({"op": "create", "body": draft})

    def put(
        self, memory: str | Memory, /, content: str = "", **fields: Unpack[MemoryFields]
    ) -> None:
        """Write a memory with this id, or a changed `Memory`, whatever stood there."""
        address = memory if isinstance(memory, str) else memory.id
        draft = replacement_of(memory, content, fields)
        self._operations.append({"op": "put", "id": address, "body": draft})

    def get(self, memory_id: str, /) -> None:
        """Read a memory."""
        self._operations.append({"op": "get", "id": memory_id})

    def delete(self, memory_id: str, /) -> None:
        """Delete a memory."""
        self._operations.append({"op": "delete", "id": memory_id})

    def send(self, core: Core, key: str | None) -> Operation[None]:
        """Send what was written down; an empty batch is not sent."""
        self._result = BatchResult(results=(), failed=0)
        if self._operations:
            body = msgspec.json.encode({"operations": self._operations})
            path = f"{core.memories_path()}:batch"
            call = Call(method="POST", path=path, body=body, write=True, key=key)
            self._result = yield from core.fetch(call, BatchResult)
