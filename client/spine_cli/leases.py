"""`spine lease hold, list, get, release`: who may do what only one may do at a time."""

from typing import Annotated

import msgspec
import typer

from memory_spine.errors import error_of
from memory_spine.leases import TTL_S
from memory_spine.models import without_none
from spine_cli.app import say
from spine_cli.arguments import seconds_of
from spine_cli.child import Child
from spine_cli.exits import Exit
from spine_cli.options import Namespace, Timeout, Url, connect
from spine_cli.output import FactsOutput, show_record, show_rows

lease_app = typer.Typer(no_args_is_help=True, help="Hold leases, and see who holds them.")

Key = Annotated[str, typer.Argument(metavar="KEY")]


@lease_app.command()
def hold(  # noqa: PLR0913, PLR0917 - typer reads options from parameters
    ctx: typer.Context,
    key: Key,
    command: Annotated[list[str], typer.Argument(metavar="-- CMD...")],
    ttl: Annotated[str, typer.Option(help="Free again so long after this process died.")] = (
        f"{TTL_S:g}s"
    ),
    wait: Annotated[str, typer.Option(help="Wait so long while another has it.")] = "0s",
    holder: Annotated[
        str | None, typer.Option(help="Who holds it; host and process when left out.")
    ] = None,
    guard: Annotated[
        list[str] | None,
        typer.Option(help="Memory that takes no write of an earlier holder; may be repeated."),
    ] = None,
    grace: Annotated[
        str, typer.Option(help="When the lease is lost, from SIGTERM to SIGKILL.")
    ] = "10s",
    namespace: Namespace = None,
    url: Url = None,
    timeout: Timeout = 10.0,
) -> None:
    """Run a command while holding a lease; its exit code is the command's.

    The command finds its fence in SPINE_FENCE, for `--fence "$SPINE_FENCE"`. When the lease is lost it is
    sent SIGTERM, then SIGKILL, and a command that calls this a success has the exit code 4.

    `spine lease hold -n acme deploy.prod -- ./deploy.sh`
    """
    child = Child(command, grace_s=seconds_of(grace))
    leases = connect(ctx, url=url, namespace=namespace, timeout=timeout).leases
    with leases.hold(
        key,
        ttl=seconds_of(ttl),
        wait=seconds_of(wait),
        holder=holder,
        guards=guard or (),
        on_lost=child.end,
    ) as lease:
        code = child.run({"SPINE_FENCE": str(lease)})
        if lost := lease.lost:
            say(f"the lease {key} was lost")
    raise typer.Exit(code or (Exit.CONFLICT if lost else Exit.OK))


@lease_app.command("list")
def list_leases(
    ctx: typer.Context,
    namespace: Namespace = None,
    url: Url = None,
    timeout: Timeout = 10.0,
    output: FactsOutput = None,
) -> None:
    """List the leases of a namespace, also those that nobody holds now.

    `spine lease list -n acme`
    """
    leases = connect(ctx, url=url, namespace=namespace, timeout=timeout).leases
    show_rows([msgspec.to_builtins(lease) for lease in leases.list()], output)


@lease_app.command()
def get(
    ctx: typer.Context,
    key: Key,
    namespace: Namespace = None,
    url: Url = None,
    timeout: Timeout = 10.0,
    output: FactsOutput = None,
) -> None:
    """Show who holds a lease; exit code 3 when nobody ever did.

    `spine lease get -n acme deploy.prod`
    """
    lease = connect(ctx, url=url, namespace=namespace, timeout=timeout).leases.get(key)
    show_record(without_none(msgspec.to_builtins(lease)), output)


@lease_app.command()
def release(
    ctx: typer.Context,
    key: Key,
    fence: Annotated[
        int | None, typer.Option(help="Only this grant; whatever holds it when left out.")
    ] = None,
    namespace: Namespace = None,
    url: Url = None,
    timeout: Timeout = 10.0,
) -> None:
    """Break a lease that nobody looks after; a holder that lives on learns of it when it renews.

    `spine lease release -n acme deploy.prod`
    """
    leases = connect(ctx, url=url, namespace=namespace, timeout=timeout).leases
    lease = leases.get(key)
    if not lease.held or lease.holder is None:
        say(f"nobody holds {key}")
        return
    if fence is not None and fence != lease.fence:
        detail = f"{key} is held by {lease.holder} with the fence {lease.fence}"
        raise error_of({"code": "lease-lost", "detail": detail}, 409)
    leases.release(key, holder=lease.holder, fence=lease.fence)
    say(f"released {key}, which {lease.holder} held")
