"""`spine serve`: run a node, alone or as one of a static cluster."""

import os
from pathlib import Path
from typing import Annotated, Literal

import typer

from memory_spine.config import DEFAULT_URL
from spine_cli.runtime import runtime_of


def serve(  # noqa: PLR0913, PLR0917 - typer reads options from parameters
    ctx: typer.Context,
    data: Annotated[
        Path | None, typer.Option(help="Directory of the store. [default: ./spine-data]")
    ] = None,
    port: Annotated[
        int | None, typer.Option(help="0 takes a free one. [default: 8788]", min=0, max=65535)
    ] = None,
    host: Annotated[str | None, typer.Option(help="[default: 127.0.0.1]")] = None,
    keys: Annotated[
        Path | None, typer.Option(help="API keys; see `spine key new`. Needed off loopback.")
    ] = None,
    auth: Annotated[
        Literal["none"] | None, typer.Option(help="none: let everybody in, also from outside.")
    ] = None,
    cluster: Annotated[Path | None, typer.Option(help="File of a static cluster.")] = None,
    node: Annotated[str | None, typer.Option(help="Id of this node in that file.")] = None,
    tls: Annotated[
        Path | None, typer.Option(help="Directory with tls.crt, tls.key and ca.crt.")
    ] = None,
) -> None:
    """Run a node until it is told to stop. Needs no configuration.

    `spine serve`

    `spine serve --cluster cluster.yaml --node spine-1 --data ./data-1`
    """
    from spine_node.settings import Settings  # noqa: PLC0415 - needs what a node needs

    given = {
        "data": data,
        "port": port,
        "host": host,
        "keys": keys,
        "auth": auth,
        "cluster": cluster,
        "node": node,
        "tls": tls,
    }
    flags = {name: None if value is None else str(value) for name, value in given.items()}
    environment = {"SPINE_LOG_LEVEL": "WARNING", **os.environ}  # a terminal wants quiet
    settings = Settings.load(flags, environment)
    raise typer.Exit(runtime_of(ctx).run_node(settings, _welcome))


def _welcome(url: str, data: Path, unready: str | None) -> None:
    """Say that the node serves, and what to do with it, or why it does not serve yet."""
    from rich.console import Console  # noqa: PLC0415 - only when a node has started

    option = "" if url == DEFAULT_URL else f" --url {url}"
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    if unready is not None:
        console.print(f"Memory Spine listens on {url}, not ready yet: {unready}", markup=False)
        return
    console.print(f"[bold]Memory Spine serves {url} from {data}[/bold]")
    for line in (
        f'try:  spine store -n demo "Alice prefers metric units"{option}',
        f"and:  spine list -n demo{option}",
        "Ctrl-C stops it; what it has acknowledged is on disk.",
    ):
        console.print(f"  {line}", style="dim", markup=False)
