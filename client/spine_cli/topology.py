"""`spine topology plan, apply, status`: change the nodes of a static cluster.

Edit the nodes in the cluster file, look at the plan, apply it.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spine_cli.app import say
from spine_cli.exits import Exit
from spine_cli.output import FactsOutput, show_record
from spine_cli.runtime import runtime_of

if TYPE_CHECKING:
    from spine_cli.topology_controller import Observation, TopologyController

topology_app = typer.Typer(no_args_is_help=True, help="Change the nodes of a static cluster.")

ClusterOption = Annotated[Path, typer.Option("--cluster", help="The file that names the nodes.")]
TlsOption = Annotated[
    Path | None, typer.Option("--tls", help="Directory with ca.crt, when the nodes serve https.")
]


@topology_app.command()
def plan(
    ctx: typer.Context, cluster: ClusterOption, tls: TlsOption = None, output: FactsOutput = None
) -> None:
    """Show what `apply` would do next, and change nothing.

    `spine topology plan --cluster cluster.yaml`
    """
    from spine_cli.topology_controller import describe  # noqa: PLC0415 - needs what a node needs

    show_record(describe(_controller(ctx, cluster, tls).observe().action), output)


@topology_app.command()
def apply(
    ctx: typer.Context,
    cluster: ClusterOption,
    tls: TlsOption = None,
    timeout: Annotated[
        float | None, typer.Option(help="Give up after so many seconds.", min=0)
    ] = None,
    output: FactsOutput = None,
) -> None:
    """Make the cluster what its file asks for. May be interrupted anywhere and run again.

    A node that is no longer in the file is drained first; stop it when this says so.

    `spine topology apply --cluster cluster.yaml`
    """
    from spine_cli.topology_controller import describe  # noqa: PLC0415 - needs what a node needs

    environment = runtime_of(ctx).environment
    until_ms = None if timeout is None else environment.unix_ms() + timeout * 1000
    told, facts = "", {}
    for observation in _controller(ctx, cluster, tls).passes():
        facts = describe(observation.action)
        line = _line(observation, facts)
        if line != told:
            say(line)
            told = line
        if until_ms is not None and environment.unix_ms() >= until_ms:
            break
    show_record(facts, output)
    raise typer.Exit(_EXITS.get(facts["action"], Exit.UNAVAILABLE))


@topology_app.command()
def status(
    ctx: typer.Context, cluster: ClusterOption, tls: TlsOption = None, output: FactsOutput = None
) -> None:
    """Show every node of the file and of the topology document.

    `spine topology status --cluster cluster.yaml`
    """
    from spine_cli.topology_controller import describe  # noqa: PLC0415 - needs what a node needs

    observation = _controller(ctx, cluster, tls).observe()
    document = observation.document
    facts = {
        "epoch": document.epoch if document else None,
        "phase": document.phase if document else None,
        "nodes": _rows(observation),
        "next": describe(observation.action)["message"],
    }
    show_record(facts, output, table="nodes")


_EXITS = {"done": Exit.OK, "stop": Exit.OK, "blocked": Exit.CONFLICT}


def _controller(ctx: typer.Context, cluster: Path, tls: Path | None) -> "TopologyController":
    from memory_spine.network import NetworkOptions  # noqa: PLC0415 - network only when needed
    from memory_spine.urllib3_transport import Urllib3Transport  # noqa: PLC0415 - as above
    from spine_cli.admin import Nodes  # noqa: PLC0415 - needs what a node needs
    from spine_cli.document_file import DocumentFile  # noqa: PLC0415 - as above
    from spine_cli.topology_controller import TopologyController  # noqa: PLC0415 - as above
    from spine_node.cluster_file import load_cluster_file  # noqa: PLC0415 - as above
    from spine_node.cluster_secret import (  # noqa: PLC0415 - as above
        admin_token,
        load_secrets,
        secret_path,
    )
    from spine_node.modes import wanted_of  # noqa: PLC0415 - as above

    runtime = runtime_of(ctx)
    wanted = wanted_of(load_cluster_file(cluster))
    token = admin_token(load_secrets(secret_path(cluster))[0])
    options = NetworkOptions(ca_file=str(tls / "ca.crt") if tls else None)
    options.check()
    nodes = Nodes(
        transport=runtime.transport or Urllib3Transport(options),
        token=token,
        scheme="https" if tls else "http",
    )
    return TopologyController(
        wanted=wanted, file=DocumentFile(cluster), nodes=nodes, environment=runtime.environment
    )


def _line(observation: "Observation", facts: dict[str, Any]) -> str:
    epoch = f"epoch {observation.document.epoch}" if observation.document else "no epoch"
    share = f" ({facts['done']} of {facts['total']})" if facts.get("total") else ""
    step = facts.get("step", facts["action"])
    return f"{epoch}  {step}: {facts['message']}{share}"


def _rows(observation: "Observation") -> list[dict[str, Any]]:
    document = observation.document
    numbers = {**document.current, **document.target} if document else {}
    rows = []
    for seat, report in observation.reports.items():
        change = report.change if report else None
        rows.append(
            {
                "node": seat,
                "store": numbers.get(seat),
                "status": report.status if report else "no answer",
                "epoch": report.epoch if report else None,
                "pulled": f"{len(change.pulled)}/{change.gained}" if change else None,
                "disk_used": report.disk_used if report else None,
            }
        )
    return rows
