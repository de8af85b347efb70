"""The memories of a namespace, for the client that blocks."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Generic, Unpack

from memory_spine import operations
from memory_spine.arguments import Identifier
from memory_spine.batch import Batch
from memory_spine.conditions import FenceLike, condition_of
from memory_spine.core import Core
from memory_spine.drafts import MemoryChanges, MemoryFields
from memory_spine.effects import Transport
from memory_spine.models import ItemResult, Memory, Page
from memory_spine.mutations import Change, mutate
from memory_spine.paging import Item, Listed, ListQuery, Order, Query, Scope
from memory_spine.sync_driver import run


class Pager(Generic[Listed, Item]):
    """A list: iterate over its items, or over its pages."""

    def __init__(self, query: Query[Listed], transport: Transport) -> None:
        self._query = query
        self._transport = transport

    def __iter__(self) -> Iterator[Item]:
        for page in self.pages():
            yield from page.items

    def pages(self) -> Iterator[Listed]:
        """Fetch page after page; a page may be short or empty and not be the last."""
        query: Query[Listed] | None = self._query
        while query is not None:
            page = run(query.fetch(), self._transport)
            yield page
            query = query.after(page)


class Memories:
    """The memories of one namespace."""

    def __init__(self, core: Core, transport: Transport) -> None:
        self._core = core
        self._transport = transport

    def create(
        self,
        content: str = "",
        *,
        partition_by: Identifier | None = None,
        key: Identifier | None = None,
        **fields: Unpack[MemoryFields],
    ) -> Memory:
        """Store a new memory under an id that the server issues; it is on W disks when this returns.

        `key` makes retries of your own safe too: the same key never creates a second memory.
        """
        operation = operations.create(
            self._core, content, fields, partition_by=partition_by, key=key
        )
        return run(operation, self._transport)

    def put(
        self,
        memory: Identifier | Memory,
        /,
        content: str = "",
        *,
        if_match: str | None = None,
        create_only: bool = False,
        fence: FenceLike | None = None,
        key: Identifier | None = None,
        **fields: Unpack[MemoryFields],
    ) -> Memory:
        """Store a memory under this id, or a changed `Memory`: whatever stood there, or on a condition.

        `if_match` is the `etag` that must stand there, `create_only` asks for nothing to stand
        there, `fence` is a lease that must still be held.

        Raises:
            PreconditionFailed: something else stands there; `current` is what.
            FenceStale, FenceRequired, GuardConflict: the lease is not the one that guards the memory.
        """
        condition = condition_of(if_match=if_match, create_only=create_only, fence=fence)
        operation = operations.put(
            self._core, memory, content, fields, condition=condition, key=key
        )
        return run(operation, self._transport)

    def update(
        self,
        memory_id: Identifier,
        /,
        *,
        if_match: str | None = None,
        fence: FenceLike | None = None,
        key: Identifier | None = None,
        **changes: Unpack[MemoryChanges],
    ) -> Memory:
        """Change these fields in one step, so that no change of others is lost; None removes one.

        In `metadata` too, what is not named stays and None removes; a list is replaced.

        Raises:
            NotFound: there is no such memory.
            PreconditionFailed, FenceStale, FenceRequired, GuardConflict: as `put`.
        """
        condition = condition_of(if_match=if_match, fence=fence)
        operation = operations.update(self._core, memory_id, changes, condition=condition, key=key)
        return run(operation, self._transport)

    def mutate(
        self,
        memory_id: Identifier,
        change: Change,
        /,
        *,
        fence: FenceLike | None = None,
        timeout: float | None = None,
    ) -> Memory | None:
        """Store what `change` makes of the memory as it is, and lose no change of others.

        `change` is given the memory, None when there is none, and may be called many times; it
        returns the memory changed, a `Draft` for a new one, or None to leave all as it is. What
        stands there afterwards is returned. `timeout` is for all attempts together.

        Raises:
            PreconditionFailed: others were faster until the time was over.
        """
        operation = mutate(self._core, memory_id, change, fence=fence, timeout=timeout)
        return run(operation, self._transport)

    def get(self, memory_id: Identifier, /, *, include: Sequence[str] = ()) -> Memory:
        """Return one memory; `include=["embedding"]` adds its vector.

        Raises:
            NotFound: there is none (`Gone`: it was deleted).
        """
        return run(operations.get(self._core, memory_id, include), self._transport)

    def get_or_none(
        self, memory_id: Identifier, /, *, include: Sequence[str] = ()
    ) -> Memory | None:
        """Return one memory, None when there is none."""
        return run(operations.get_or_none(self._core, memory_id, include), self._transport)

    def delete(
        self,
        memory_id: Identifier,
        /,
        *,
        if_match: str | None = None,
        fence: FenceLike | None = None,
        key: Identifier | None = None,
    ) -> None:
        """Delete one memory, on the conditions of `put`; that there was none is no failure."""
        condition = condition_of(if_match=if_match, fence=fence)
        operation = operations.delete(self._core, memory_id, condition=condition, key=key)
        run(operation, self._transport)

    def touch(self, memory_ids: Iterable[Identifier], /) -> Sequence[ItemResult]:
        """Let the time to live of these memories begin anew; what became of each, in their order."""
        return run(operations.touch(self._core, memory_ids), self._transport)

    def list(
        self,
        *,
        filter: Mapping[str, Any] | None = None,  # noqa: A002 - the word of the API
        scope: Scope = "exact",
        order: Order = "-created_at",
        page_size: int = 50,
        page_token: str | None = None,
        include: Sequence[str] = (),
    ) -> Pager[Page, Memory]:
        """Return the memories that match, newest first; nothing is sent before iteration."""
        query = ListQuery(
            core=self._core,
            filter=filter,
            scope=scope,
            order=order,
            page_size=page_size,
            page_token=page_token,
            include=include,
        )
        return Pager(query, self._transport)

    @contextmanager
    def batch(self, *, key: Identifier | None = None, check: bool = True) -> Iterator[Batch]:
        """Collect operations in the block and send them at its end; see `Batch.result`.

        Nothing is sent when the block raises. More than one request takes are sent in several, each
        with the client's `timeout`. `check=False` leaves it to you to look at the results.

        Raises:
            BatchFailed: an operation failed; it holds the result of each.
        """
        batch = Batch(self._core, key)
        yield batch
        run(batch.send(check=check), self._transport)
