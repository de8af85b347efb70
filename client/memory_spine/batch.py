"""Batches: operations are written down in a block and sent together when it ends."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Unpack

import msgspec

from memory_spine import arguments
from memory_spine.arguments import Identifier
from memory_spine.conditions import FenceLike, condition_of
from memory_spine.core import Call, Core
from memory_spine.drafts import MemoryChanges, MemoryFields, draft_of, patch_of, replacement_of
from memory_spine.effects import Operation
from memory_spine.errors import BatchFailed, ConfigError, NotSent, SpineError
from memory_spine.models import BatchResult, ItemResult, Memory

OPERATIONS_MAX = 500  # of one request, as the server accepts them
BYTES_MAX = 8 * 1024 * 1024
_HEAD, _TAIL = b'{"operations":[', b"]}"


class Batch:
    """Operations whose results come in the same order. Not a transaction.

    No two operations may be about one memory, since they run side by side.
    """

    def __init__(self, core: Core, key: Identifier | None) -> None:
        self._core = core
        self._key = arguments.optional_identifier(key, "key")
        self._operations: list[bytes] = []  # each as JSON
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
        self,
        content: str = "",
        *,
        partition_by: Identifier | None = None,
        **fields: Unpack[MemoryFields],
    ) -> None:
        """Add a memory whose id the server issues."""
        self._add({"op": "create", "body": draft_of(content, fields, partition_by)})

    def put(
        self,
        memory: Identifier | Memory,
        /,
        content: str = "",
        *,
        if_match: str | None = None,
        create_only: bool = False,
        fence: FenceLike | None = None,
        **fields: Unpack[MemoryFields],
    ) -> None:
        """Write a memory with this id, or a changed `Memory`, if the conditions hold."""
        memory_id, draft = replacement_of(memory, content, fields)
        conditions = self._conditions(if_match=if_match, create_only=create_only, fence=fence)
        self._add({"op": "put", "id": memory_id, "body": draft, **conditions})

    def update(
        self,
        memory_id: Identifier,
        /,
        *,
        if_match: str | None = None,
        fence: FenceLike | None = None,
        **changes: Unpack[MemoryChanges],
    ) -> None:
        """Change these fields of a memory; None removes one."""
        name = arguments.identifier(memory_id, "memory_id")
        conditions = self._conditions(if_match=if_match, fence=fence)
        self._add({"op": "patch", "id": name, "body": patch_of(changes), **conditions})

    def get(self, memory_id: Identifier, /) -> None:
        """Read a memory."""
        self._add({"op": "get", "id": arguments.identifier(memory_id, "memory_id")})

    def delete(
        self,
        memory_id: Identifier,
        /,
        *,
        if_match: str | None = None,
        fence: FenceLike | None = None,
    ) -> None:
        """Delete a memory, if the conditions hold."""
        name = arguments.identifier(memory_id, "memory_id")
        conditions = self._conditions(if_match=if_match, fence=fence)
        self._add({"op": "delete", "id": name, **conditions})

    def send(self, *, check: bool) -> Operation[None]:
        """Send what was written down, in as few requests as the server's limits allow.

        A request that fails ends the batch: the later ones would most likely fail as well.

        Raises:
            SpineError: the first request failed, so nothing is known of any operation.
            BatchFailed: an operation failed, or a later request.
        """
        path = f"{self._core.memories_path()}:batch"
        results: list[ItemResult] = []
        cause: SpineError | None = None
        for count, bodies in enumerate(_requests(self._operations)):
            if cause is not None:
                results += _failed(bodies, NotSent("an earlier request of this batch failed"))
                continue
            body = _HEAD + b",".join(bodies) + _TAIL
            call = Call(method="POST", path=path, body=body, write=True, key=self._key_of(count))
            try:
                answer = yield from self._core.fetch(call, BatchResult)
                results += matching(answer.results, bodies)
            except SpineError as failure:
                if not results:
                    raise
                cause = failure
                results += _failed(bodies, failure)
        failed = sum(result.error is not None for result in results)
        self._result = BatchResult(results=tuple(results), failed=failed)
        if failed and (check or cause is not None):
            raise BatchFailed(self._result) from cause

    def _key_of(self, count: int) -> str | None:
        """Return the idempotency key of one request: the same whenever the same batch is sent again."""
        return self._key if self._key is None or count == 0 else f"{self._key}.{count}"

    def _conditions(self, **given: Any) -> dict[str, Any]:
        return condition_of(**given).under(self._core.options.fence).fields()

    def _add(self, operation: Mapping[str, Any]) -> None:
        if self._result is not None:
            raise RuntimeError("a batch takes operations inside its block")
        encoded = msgspec.json.encode(operation)
        if len(encoded) + len(_HEAD + _TAIL) > BYTES_MAX:
            raise ConfigError(f"an operation of {len(encoded)} bytes is larger than a batch may be")
        self._operations.append(encoded)


def _requests(operations: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    """Yield the operations of each request, in their order."""
    begin, size = 0, len(_HEAD + _TAIL)
    for end, operation in enumerate(operations):
        if end - begin == OPERATIONS_MAX or size + len(operation) + 1 > BYTES_MAX:
            yield operations[begin:end]
            begin, size = end, len(_HEAD + _TAIL)
        size += len(operation) + 1  # and its comma
    if begin < len(operations):
        yield operations[begin:]


def _failed(bodies: Sequence[bytes], failure: SpineError) -> list[ItemResult]:
    return [ItemResult(status=failure.status, failure=failure)] * len(bodies)


def matching(results: Sequence[ItemResult], bodies: Sequence[object]) -> Sequence[ItemResult]:
    """Return the results, which must be one for each operation."""
    if len(results) == len(bodies):
        return results
    failure = SpineError(f"{len(results)} results came for {len(bodies)} operations")
    failure.may_have_been_applied = True
    raise failure
