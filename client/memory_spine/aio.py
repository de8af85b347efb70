"""`AsyncSpine`: the client that awaits. Tasks of one event loop may share one."""

import os
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Self, Unpack, cast

from memory_spine import operations
from memory_spine.aiohttp_transport import AiohttpTransport
from memory_spine.arguments import Identifier
from memory_spine.base_client import BaseClient, core_of
from memory_spine.batch import Batch
from memory_spine.conditions import FenceLike, condition_of
from memory_spine.config import (
    ATTEMPTS,
    TIMEOUT_S,
    ApiKey,
    ConsistencyModel,
    Options,
    TransportName,
    transport_name,
)
from memory_spine.core import Core
from memory_spine.drafts import MemoryChanges, MemoryFields
from memory_spine.effects import (
    AsyncTransport,
    Done,
    Open,
    Operation,
    Outcome,
    Request,
    Result,
    Sleep,
    mismatch,
    resume,
)
from memory_spine.environment import sleep_async
from memory_spine.errors import ConnectionFailed
from memory_spine.link_transport import LinkTransport
from memory_spine.models import Cluster, Identity, ItemResult, Memory, Page
from memory_spine.mutations import Change, mutate
from memory_spine.network import NetworkOptions
from memory_spine.paging import ListQuery, Order, Scope


async def run(operation: Operation[Result], transport: AsyncTransport) -> Result:
    """Drive one operation to its end."""
    outcome: Outcome | ConnectionFailed | None = None
    while not isinstance(effect := resume(operation, outcome), Done):
        if isinstance(effect, Sleep):
            await sleep_async(effect.seconds, effect.until)
            outcome = None
        else:
            outcome = await _outcome(effect, transport)
    return effect.value


async def _outcome(effect: Request | Open, transport: AsyncTransport) -> Outcome | ConnectionFailed:
    request = effect.request if isinstance(effect, Open) else effect
    try:
        opens = isinstance(effect, Open)
        outcome = await (transport.open(request) if opens else transport.send(request))
    except ConnectionFailed as failure:
        return failure
    if (foreign := mismatch(request, outcome)) is None:
        return outcome
    await transport.close()  # who knows whose answers the connections hold
    return foreign


class AsyncPager:
    """A list: iterate over its memories, or over its pages."""

    def __init__(self, query: ListQuery, transport: AsyncTransport) -> None:
        self._query = query
        self._transport = transport

    async def __aiter__(self) -> AsyncIterator[Memory]:
        async for page in self.pages():
            for memory in page.items:
                yield memory

    async def pages(self) -> AsyncIterator[Page]:
        """Fetch page after page; a page may be short or empty and not be the last."""
        query: ListQuery | None = self._query
        while query is not None:
            page = await run(query.fetch(), self._transport)
            yield page
            query = query.after(page)


class AsyncMemories:
    """The memories of one namespace."""

    def __init__(self, core: Core, transport: AsyncTransport) -> None:
        self._core = core
        self._transport = transport

    async def create(
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
        return await run(operation, self._transport)

    async def put(
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
        return await run(operation, self._transport)

    async def update(
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
        return await run(operation, self._transport)

    async def mutate(
        self,
        memory_id: Identifier,
        change: Change,
        /,
        *,
        fence: FenceLike | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - counts down over all attempts
    ) -> Memory | None:
        """Store what `change` makes of the memory as it is, and lose no change of others.

        `change` is given the memory, None when there is none, and may be called many times; it
        returns the memory changed, a `Draft` for a new one, or None to leave all as it is. What
        stands there afterwards is returned. `timeout` is for all attempts together.

        Raises:
            PreconditionFailed: others were faster until the time was over.
        """
        operation = mutate(self._core, memory_id, change, fence=fence, timeout=timeout)
        return await run(operation, self._transport)

    async def get(self, memory_id: Identifier, /, *, include: Sequence[str] = ()) -> Memory:
        """Return one memory; `include=["embedding"]` adds its vector.

        Raises:
            NotFound: there is none (`Gone`: it was deleted).
        """
        return await run(operations.get(self._core, memory_id, include), self._transport)

    async def get_or_none(
        self, memory_id: Identifier, /, *, include: Sequence[str] = ()
    ) -> Memory | None:
        """Return one memory, None when there is none."""
        return await run(operations.get_or_none(self._core, memory_id, include), self._transport)

    async def delete(
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
        await run(operation, self._transport)

    async def touch(self, memory_ids: Iterable[Identifier], /) -> Sequence[ItemResult]:
        """Let the time to live of these memories begin anew; what became of each, in their order."""
        return await run(operations.touch(self._core, memory_ids), self._transport)

    def list(
        self,
        *,
        filter: Mapping[str, Any] | None = None,  # noqa: A002 - the word of the API
        scope: Scope = "exact",
        order: Order = "-created_at",
        page_size: int = 50,
        page_token: str | None = None,
        include: Sequence[str] = (),
    ) -> AsyncPager:
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
        return AsyncPager(query, self._transport)

    @asynccontextmanager
    async def batch(
        self, *, key: Identifier | None = None, check: bool = True
    ) -> AsyncIterator[Batch]:
        """Collect operations in the block and send them at its end; see `Batch.result`.

        Nothing is sent when the block raises. More than one request takes are sent in several, each
        with the client's `timeout`. `check=False` leaves it to you to look at the results.

        Raises:
            BatchFailed: an operation failed; it holds the result of each.
        """
        batch = Batch(self._core, key)
        yield batch
        await run(batch.send(check=check), self._transport)


class AsyncSpine(BaseClient):
    """A client of one cluster.

    It can be copied and pickled: its options travel, the key among them, and what its session knows;
    its connections and counts do not. A forked process opens connections of its own.

    Args:
        url: base URL of a node, or several for failover; else SPINE_URL, else this machine.
        api_key: else SPINE_API_KEY. A function is asked before every attempt.
        namespace: of `memories`; else SPINE_NAMESPACE.
        consistency: model of every request; None leaves it to the namespace.
        session: token of another client, to see what it wrote and saw.
        timeout: seconds a call may take: connecting, sending, receiving, all attempts together.
        attempts: how often one call is tried.
        ca_file: certificates to trust for https; else SPINE_CA_FILE, else those of the system.
        proxy: URL of an HTTP proxy, or "environment" for what HTTPS_PROXY, HTTP_PROXY and NO_PROXY
            say; else SPINE_PROXY, else none, whatever those variables say.
        transport: "http" (a connection for each request at a time), "link" (one to each node, and
            what is asked at once travels in one message), or an object that carries the requests;
            else SPINE_TRANSPORT, else "http".

    Raises:
        ConfigError: an option is wrong.
    """

    def __init__(  # noqa: PLR0913 - options by name, each with its default
        self,
        url: str | Sequence[str] | None = None,
        *,
        api_key: ApiKey | None = None,
        namespace: str | None = None,
        consistency: ConsistencyModel | None = None,
        session: str | None = None,
        timeout: float = TIMEOUT_S,
        attempts: int = ATTEMPTS,
        ca_file: str | None = None,
        proxy: str | None = None,
        transport: AsyncTransport | TransportName | None = None,
    ) -> None:
        options = Options(
            api_key=api_key,
            namespace=namespace,
            consistency=consistency,
            timeout=timeout,
            attempts=attempts,
        )
        self._core = core_of(url, options, session, os.environ)
        if (name := transport_name(transport, os.environ)) is None:
            self._transport = cast("AsyncTransport", transport)
        else:
            made = LinkTransport if name == "link" else AiohttpTransport
            self._transport = made(NetworkOptions.of(ca_file, proxy, os.environ))

    @property
    def memories(self) -> AsyncMemories:
        """The memories of this view's namespace."""
        return AsyncMemories(self._core, self._transport)

    async def whoami(self) -> Identity:
        """Return who the server takes you for."""
        return await run(operations.whoami(self._core), self._transport)

    async def cluster(self, *, slots: bool = False) -> Cluster:
        """Return the cluster as the node that answers sees it; `slots` adds who holds which slot."""
        return await run(operations.cluster(self._core, slots=slots), self._transport)

    async def close(self) -> None:
        """Give up the connections, also those of every view."""
        await self._transport.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()
