"""`spine watch`: what changes in a namespace, one JSON object a line."""

from enum import StrEnum
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

import typer

from memory_spine.models import without_none
from spine_cli.app import say
from spine_cli.arguments import filter_of
from spine_cli.options import Namespace, Timeout, Url, connect
from spine_cli.output import show_line

if TYPE_CHECKING:
    from memory_spine import Event


class EventKind(StrEnum):
    """What may be watched."""

    PUT = "put"
    DELETE = "delete"
    LEASE = "lease"


def watch(  # noqa: PLR0913, PLR0917 - typer reads options from parameters
    ctx: typer.Context,
    tag: Annotated[list[str] | None, typer.Option("--tag", "-t", help="With this tag.")] = None,
    agent: Annotated[str | None, typer.Option(help="Of this agent.")] = None,
    user: Annotated[str | None, typer.Option(help="About this user.")] = None,
    where: Annotated[
        list[str] | None, typer.Option(help="A test such as 'metadata.severity>=3'.")
    ] = None,
    event: Annotated[
        list[EventKind] | None,
        typer.Option(help="Only these; may be repeated. put and delete when left out."),
    ] = None,
    since: Annotated[
        str, typer.Option(help="now, beginning, or the cursor of an event to go on after.")
    ] = "now",
    subtree: Annotated[
        bool, typer.Option("--subtree", help="Also the namespaces below this one.")
    ] = False,
    limit: Annotated[int | None, typer.Option(help="End after so many.", min=1)] = None,
    namespace: Namespace = None,
    url: Url = None,
    timeout: Timeout = 10.0,
) -> None:
    """Print what changes, as it changes, until Ctrl-C; every acknowledged write at least once.

    `spine watch -n acme.support --tag task`
    """
    spine = connect(ctx, url=url, namespace=namespace, timeout=timeout)
    events = spine.watch(
        filter=filter_of(tags=tag or [], agent=agent, user=user, where=where or []),
        scope="subtree" if subtree else "exact",
        events=[kind.value for kind in event or (EventKind.PUT, EventKind.DELETE)],
        since=since,
    )
    try:
        for change in islice(events, limit):
            show_line(_facts(change))
            if change.type == "reset":
                say("changes may be missing before this: list the memories again")
    except KeyboardInterrupt:
        return  # as people end it


def _facts(change: "Event") -> dict[str, Any]:
    facts = {name: getattr(change, name) for name in change.__struct_fields__}
    if change.memory is not None:
        facts["memory"] = change.memory.to_dict()
    return without_none({name: fact for name, fact in facts.items() if fact != ""})
