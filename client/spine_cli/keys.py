"""`spine key new` and `spine key secret`: credentials. Each is shown or written once, kept nowhere."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from memory_spine.errors import ConfigError
from spine_cli.app import say
from spine_cli.output import FactsOutput, show_record
from spine_cli.runtime import runtime_of
from spine_core.api_keys import ALL_NAMESPACES, Scope, new_key
from spine_core.records.ids import check_namespace

key_app = typer.Typer(no_args_is_help=True, help="Make credentials.")


@key_app.command()
def new(
    ctx: typer.Context,
    subject: Annotated[str, typer.Option(help="Who writes with it; becomes `writer`.")],
    namespace: Annotated[
        list[str], typer.Option("--namespace", "-n", help="With all below it; * for every one.")
    ],
    scope: Annotated[list[Scope] | None, typer.Option(help="May be repeated.")] = None,
    days: Annotated[int | None, typer.Option(help="Valid for so long.", min=1)] = None,
    output: FactsOutput = None,
) -> None:
    """Make an API key, and the entry for the file that `spine serve --keys` reads.

    `spine key new --subject support-bot -n acme.support --scope memory:read --scope memory:write`
    """
    for name in namespace:
        if name != ALL_NAMESPACES:
            check_namespace(name)
    environment = runtime_of(ctx).environment
    scopes = scope or [Scope.READ, Scope.WRITE]
    text, entry = new_key(environment.entropy, subject=subject, scopes=scopes, namespaces=namespace)
    if days is not None:
        ends = datetime.fromtimestamp(environment.unix_ms() // 1000, UTC) + timedelta(days=days)
        entry["not_after"] = f"{ends:%Y-%m-%dT%H:%M:%SZ}"
    say("the key is shown this once; the entry goes below `keys:` in the file of --keys")
    show_record({"key": text, "entry": entry}, output)


@key_app.command()
def secret(
    ctx: typer.Context,
    cluster: Annotated[
        Path | None, typer.Argument(metavar="[CLUSTER.yaml]", help="Write it beside this file.")
    ] = None,
) -> None:
    """Make the secret that the nodes of a static cluster share; copy it to every one of them.

    `spine key secret cluster.yaml` writes `cluster.secret`
    """
    from spine_node.cluster_secret import (  # noqa: PLC0415 - needs what a node needs
        ENTROPY_BYTES,
        make_secret,
        secret_path,
    )

    entropy = runtime_of(ctx).environment.entropy(ENTROPY_BYTES)
    if cluster is None:
        typer.echo(entropy.hex())
        return
    path = secret_path(cluster)
    try:
        make_secret(path, entropy)
    except FileExistsError:
        raise ConfigError(f"{path} is there already; nothing was changed") from None
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror}") from error
    say(f"wrote {path}; copy it to every node")
