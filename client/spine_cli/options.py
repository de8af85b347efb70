"""Options that several commands share, and the client that they describe."""

from typing import Annotated, Literal, TypeAlias

import typer

import memory_spine
from spine_cli.runtime import runtime_of

Url: TypeAlias = Annotated[
    str | None,
    typer.Option("--url", help="Node, or several with commas. [env: SPINE_URL]"),
]
Namespace: TypeAlias = Annotated[
    str | None,
    typer.Option("--namespace", "-n", help="Namespace of the memories. [env: SPINE_NAMESPACE]"),
]
Consistency: TypeAlias = Annotated[
    Literal["strong", "causal", "read-your-writes", "eventual"] | None,
    typer.Option("--consistency", help="Model of this request; the namespace's when left out."),
]
Timeout: TypeAlias = Annotated[
    float, typer.Option("--timeout", help="Seconds, all retries together.", min=0.1)
]
Key: TypeAlias = Annotated[
    str | None,
    typer.Option("--key", help="Idempotency key: the same key never stores twice."),
]
IfMatch: TypeAlias = Annotated[
    str | None,
    typer.Option("--if-match", help="Only if this version stands there; * for any."),
]
Fence: TypeAlias = Annotated[
    str | None,
    typer.Option("--fence", help="Only under this lease: KEY=NUMBER, as in $SPINE_FENCE."),
]


def connect(
    ctx: typer.Context,
    *,
    url: str | None,
    namespace: str | None = None,
    consistency: Literal["strong", "causal", "read-your-writes", "eventual"] | None = None,
    timeout: float = 10.0,
) -> "memory_spine.Spine":
    """Return the client that the options describe."""
    return memory_spine.Spine(
        url,
        namespace=namespace,
        consistency=consistency,
        timeout=timeout,
        transport=runtime_of(ctx).transport,
    )
