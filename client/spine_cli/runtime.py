"""What every command finds in its context: how to reach nodes, clock and randomness."""

from dataclasses import dataclass, field

import typer

from memory_spine import Transport
from spine_cli.environment import Environment


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """What a command needs from outside; a test passes its own."""

    transport: Transport | None = None  # None: the network
    environment: Environment = field(default_factory=Environment)


def runtime_of(ctx: typer.Context) -> Runtime:
    """Return the runtime that the root command put into the context."""
    runtime = ctx.find_object(Runtime)
    assert runtime is not None, "the root command sets it"
    return runtime
