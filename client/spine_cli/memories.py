"""`spine store, get, list, forget`: the memories of one namespace."""

import sys
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from memory_spine.drafts import MemoryFields
from memory_spine.errors import ConfigError
from spine_cli.app import say
from spine_cli.arguments import filter_of, importance_of, object_of, seconds_of
from spine_cli.options import Consistency, Key, Namespace, Timeout, Url, connect
from spine_cli.output import Output, show_memories, show_memory

if TYPE_CHECKING:
    from memory_spine import Memory
    from memory_spine.models import Page
    from memory_spine.sync_memories import Pager

PAGE_SIZE_MAX = 500

Tags = Annotated[list[str] | None, typer.Option("--tag", "-t", help="Tag; may be repeated.")]


def store(  # noqa: PLR0913, PLR0917 - typer reads options from parameters
    ctx: typer.Context,
    content: Annotated[str, typer.Argument(help="Text to remember; - alone reads stdin.")] = "",
    memory_id: Annotated[
        str | None, typer.Option("--id", help="Replace this memory; else an id is issued.")
    ] = None,
    tag: Tags = None,
    metadata: Annotated[str | None, typer.Option(help="A JSON object.")] = None,
    importance: Annotated[
        str | None, typer.Option(help="0..1, or low, medium, high, critical.")
    ] = None,
    agent: Annotated[str | None, typer.Option(help="The agent it belongs to.")] = None,
    user: Annotated[str | None, typer.Option(help="The user it is about.")] = None,
    thread: Annotated[str | None, typer.Option(help="The conversation it comes from.")] = None,
    ttl: Annotated[str | None, typer.Option(help="Forget it after so long: 90, 30m, 7d.")] = None,
    pinned: Annotated[bool, typer.Option("--pinned", help="Never prune it.")] = False,
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
    fields: MemoryFields = {"tags": tag or [], "agent_id": agent, "user_id": user}
    fields |= {"thread_id": thread, "ttl": None if ttl is None else seconds_of(ttl)}
    if metadata is not None:
        fields["metadata"] = object_of(metadata, "--metadata")
    if importance is not None:
        fields["importance"] = importance_of(importance)
    if pinned:
        fields["pinned"] = True
    text = sys.stdin.read() if content == "-" else content
    if not text and not metadata:
        raise ConfigError("nothing to store: give a text, - for stdin, or --metadata '{\"a\": 1}'")
    spine = connect(ctx, url=url, namespace=namespace, consistency=consistency, timeout=timeout)
    if memory_id is None:
        memory = spine.memories.create(text, key=key, **fields)
    else:
        memory = spine.memories.put(memory_id, text, key=key, **fields)
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


def forget(
    ctx: typer.Context,
    memory_ids: Annotated[list[str], typer.Argument(metavar="ID...")],
    namespace: Namespace = None,
    consistency: Consistency = None,
    url: Url = None,
    timeout: Timeout = 10.0,
) -> None:
    """Delete memories; one that is not there is no failure.

    `spine forget -n acme.support release`
    """
    spine = connect(ctx, url=url, namespace=namespace, consistency=consistency, timeout=timeout)
    for memory_id in memory_ids:
        spine.memories.delete(memory_id)
        say(f"forgot {memory_id}")


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
