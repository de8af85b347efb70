"""`spine cluster status` and `spine whoami`: what the cluster says about itself and the caller."""

import msgspec
import typer

from spine_cli.options import Timeout, Url, connect
from spine_cli.output import FactsOutput, show_record

cluster_app = typer.Typer(no_args_is_help=True, help="See how the cluster is.")


@cluster_app.command()
def status(
    ctx: typer.Context, url: Url = None, timeout: Timeout = 10.0, output: FactsOutput = None
) -> None:
    """Show epoch, replication and nodes, as the node that answers sees them.

    `spine cluster status --url http://127.0.0.1:8788`
    """
    facts = msgspec.to_builtins(connect(ctx, url=url, timeout=timeout).cluster())
    show_record(facts, output, table="nodes")


def whoami(
    ctx: typer.Context, url: Url = None, timeout: Timeout = 10.0, output: FactsOutput = None
) -> None:
    """Show who the server takes you for, and what that allows.

    `SPINE_API_KEY=spine_... spine whoami`
    """
    show_record(msgspec.to_builtins(connect(ctx, url=url, timeout=timeout).whoami()), output)
