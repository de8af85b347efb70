"""`spine store, update, get, list, touch, forget`: the memories of one namespace."""

import sys
from collections.abc import Callable, Mapping
from enum import StrEnum
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

import typer

from memory_spine.drafts import MemoryFields
from memory_spine.errors import ConfigError
from spine_cli.app import say
from spine_cli.arguments import filter_of, importance_of, object_of, seconds_of
from spine_cli.options import (
    Consistency,
    Fence,
    IfMatch,
    Key,
    Namespace,
    Timeout,
    Url,
    connect,
)
from spine_cli.output import Output, show_memories, show_memory

if TYPE_CHECKING:
    from memory_spine import Memory
    from memory_spine.models import Page
    from memory_spine.sync_memories import Pager

PAGE_SIZE_MAX = 500

Tags = Annotated[list[str] | None, typer.Option("--tag", "-t", help="Tag; may be repeated.")]
Metadata = Annotated[str | None, typer.Option(help="A JSON object.")]
Importance = Annotated[str | None, typer.Option(help="0..1, or low, medium, high, critical.")]
Agent = Annotated[str | None, typer.Option(help="The agent it belongs to.")]
User = Annotated[str | None, typer.Option(help="The user it is about.")]
Thread = Annotated[str | None, typer.Option(help="The conversation it comes from.")]
Ttl = Annotated[str | None, typer.Option(help="Forget it after so long: 90, 30m, 7d.")]
Pinned = Annotated[bool, typer.Option("--pinned", help="Never prune it.")]


class Removable(StrEnum):
    """A field that an update can take away, named like its option."""

    CONTENT = "content"
    METADATA = "metadata"
    TAGS = "tag"
    AGENT = "agent"
    USER = "user"
    THREAD = "thread"
    IMPORTANCE = "importance"
    PINNED = "pinned"
    TTL = "ttl"
    EMBEDDING = "embedding"


_FIELD_OF = {"tag": "tags", "agent": "agent_id", "user": "user_id", "thread": "thread_id"}


def store(  # noqa: PLR0913, PLR0917 - typer reads options from parameters
    ctx: typer.Context,
    content: Annotated[str, typer.Argument(help="Text to remember; - alone reads stdin.")] = "",
    memory_id: Annotated[
        str | None, typer.Option("--id", help="Replace this memory; else an id is issued.")
    ] = None,
    tag: Tags = None,
    metadata: Metadata = None,
    importance: Importance = None,
    agent: Agent = None,
    user: User = None,
    thread: Thread = None,
    ttl: Ttl = None,
    pinned: Pinned = False,
    create_only: Annotated[
        bool, typer.Option("--create-only", help="With --id: only if nothing stands there.")
    ] = False,
    if_match: IfMatch = None,
    fence: Fence = None,
    key: Key = None,
    namespace: Namespace = None,
    consistency: Consistency = None,
    url: Url = None,
    timeout: Timeout = 10.0,
    output: Output = None,
) -> None:
    """Store a memory; it is on the disks of a write quorum when this returns.

    `spine store -n acme.support "Alice prefers metric units" --tag preference --user alice`
    """
    fields = _fields(
        tags=tag,
        metadata=metadata,
        importance=importance,
        agent_id=agent,
        user_id=user,
        thread_id=thread,
        ttl=ttl,
        pinned=pinned,
    )
    text = sys.stdin.read() if content == "-" else content
    if not text and not metadata:
        raise ConfigError("nothing to store: give a text, - for stdin, or --metadata '{\"a\": 1}'")
    if memory_id is None and (create_only or if_match or fence):
        raise ConfigError("a condition is about one memory: name it with --id")
    spine = connect(ctx, url=url, namespace=namespace, consistency=consistency, timeout=timeout)
    if memory_id is None:
        memory = spine.memories.create(text, key=key, **fields)
    else:
        memory = spine.memories.put(
            memory_id,
            text,
            if_match=if_match,
            create_only=create_only,
            fence=fence,
            key=key,
            **fields,
        )
    show_memory(memory, output)


def update(  # noqa: PLR0913, PLR0917 - typer reads options from parameters
    ctx: typer.Context,
    memory_id: Annotated[str, typer.Argument(metavar="ID")],
    content: Annotated[
        str | None, typer.Argument(help="Its new text; - alone reads stdin.")
    ] = None,
    tag: Tags = None,
    metadata: Annotated[
        str | None, typer.Option(help="A JSON object: null removes, what is not named stays.")
    ] = None,
    importance: Importance = None,
    agent: Agent = None,
    user: User = None,
    thread: Thread = None,
    ttl: Ttl = None,
    pinned: Pinned = False,
    remove: Annotated[
        list[Removable] | None, typer.Option("--remove", help="Without it; may be repeated.")
    ] = None,
    if_match: IfMatch = None,
    fence: Fence = None,
    key: Key = None,
    namespace: Namespace = None,
    url: Url = None,
    timeout: Timeout = 10.0,
    output: Output = None,
) -> None:
    """Change fields of a memory in one step; no change of others is lost.

    `spine update -n acme.support release --metadata '{"severity": 4}' --remove ttl`
    """
    changes: dict[str, Any] = dict(
        _fields(
            tags=tag,
            metadata=metadata,
            importance=importance,
            agent_id=agent,
            user_id=user,
            thread_id=thread,
            ttl=ttl,
            pinned=pinned,
        )
    )
    if content is not None:
        changes["content"] = sys.stdin.read() if content == "-" else content
    changes |= {_FIELD_OF.get(name, str(name)): None for name in remove or []}
    spine = connect(ctx, url=url, namespace=namespace, timeout=timeout)
    memory = spine.memories.update(memory_id, if_match=if_match, fence=fence, key=key, **changes)
    show_memory(memory, output)


def get(  # noqa: PLR0913, PLR0917 - typer reads options from parameters
    ctx: typer.Context,
    memory_id: Annotated[str, typer.Argument(metavar="ID")],
    embedding: Annotated[bool, typer.Option("--embedding", help="With its vector.")] = False,
    namespace: Namespace = None,
    consistency: Consistency = None,
    url: Url = None,
    timeout: Timeout = 10.0,
    output: Output = None,
) -> None:
    """Show one memory; exit code 3 when there is none.

    `spine get -n acme.support release --consistency strong`
    """
    spine = connect(ctx, url=url, namespace=namespace, consistency=consistency, timeout=timeout)
    include = ["embedding"] if embedding else []
    show_memory(spine.memories.get(memory_id, include=include), output)


def list_memories(  # noqa: PLR0913, PLR0917 - typer reads options from parameters
    ctx: typer.Context,
    tag: Tags = None,
    agent: Annotated[str | None, typer.Option(help="Of this agent.")] = None,
    user: Annotated[str | None, typer.Option(help="About this user.")] = None,
    where: Annotated[
        list[str] | None, typer.Option(help="A test such as 'metadata.severity>=3'.")
    ] = None,
    order: Annotated[
        Literal["-created_at", "created_at", "id"], typer.Option(help="- means newest first.")
    ] = "-created_at",
    limit: Annotated[int, typer.Option(help="At most so many.", min=1)] = 50,
    subtree: Annotated[
        bool, typer.Option("--subtree", help="Also the namespaces below this one.")
    ] = False,
    namespace: Namespace = None,
    consistency: Consistency = None,
    url: Url = None,
    timeout: Timeout = 10.0,
    output: Output = None,
) -> None:
    """List memories, newest first; all given tests must hold.

    `spine list -n acme.support --tag preference --where 'importance>=0.75'`
    """
    spine = connect(ctx, url=url, namespace=namespace, consistency=consistency, timeout=timeout)
    pager = spine.memories.list(
        filter=filter_of(tags=tag or [], agent=agent, user=user, where=where or []),
        scope="subtree" if subtree else "exact",
        order=order,
        page_size=min(limit + 1, PAGE_SIZE_MAX),
    )
    found = _first(pager, limit)
    show_memories(found[:limit], output)
    if not found:
        say("no memory matches")
    if len(found) > limit:
        say(f"there are more than {limit}; see them with --limit")


def touch(
    ctx: typer.Context,
    memory_ids: Annotated[list[str], typer.Argument(metavar="ID...")],
    namespace: Namespace = None,
    url: Url = None,
    timeout: Timeout = 10.0,
) -> None:
    """Let the time to live of memories begin anew; the first failure decides the exit code.

    `spine touch -n acme.support release`
    """
    spine = connect(ctx, url=url, namespace=namespace, timeout=timeout)
    results = spine.memories.touch(memory_ids)
    for memory_id, result in zip(memory_ids, results, strict=True):
        say(f"{memory_id}: {result.error}" if result.error else f"touched {memory_id}")
    for result in results:
        if result.error is not None:
            raise result.error


def forget(  # noqa: PLR0913, PLR0917 - typer reads options from parameters
    ctx: typer.Context,
    memory_ids: Annotated[list[str], typer.Argument(metavar="ID...")],
    if_match: IfMatch = None,
    fence: Fence = None,
    namespace: Namespace = None,
    consistency: Consistency = None,
    url: Url = None,
    timeout: Timeout = 10.0,
) -> None:
    """Delete memories; one that is not there is no failure.

    `spine forget -n acme.support release`
    """
    if if_match is not None and len(memory_ids) > 1:
        raise ConfigError("--if-match is a version of one memory: name one")
    spine = connect(ctx, url=url, namespace=namespace, consistency=consistency, timeout=timeout)
    for memory_id in memory_ids:
        spine.memories.delete(memory_id, if_match=if_match, fence=fence)
        say(f"forgot {memory_id}")


def _fields(**given: Any) -> MemoryFields:
    """Return the fields of a memory that options give, each read as what it means."""
    readers: Mapping[str, Callable[[Any], Any]] = {
        "metadata": lambda text: object_of(text, "--metadata"),
        "importance": importance_of,
        "ttl": seconds_of,
    }
    fields = {
        name: readers[name](value) if name in readers else value
        for name, value in given.items()
        if value is not None and value is not False
    }
    return cast("MemoryFields", fields)


def _first(pager: "Pager[Page, Memory]", limit: int) -> list["Memory"]:
    """Return the first `limit` memories and one more, where there is one."""
    found: list[Memory] = []
    for page in pager.pages():
        if page.coverage.answered < page.coverage.slots:
            missing = page.coverage.slots - page.coverage.answered
            say(f"incomplete: {missing} of {page.coverage.slots} slots did not answer")
        found += islice(page.items, limit + 1 - len(found))
        if len(found) > limit:
            break
    return found
