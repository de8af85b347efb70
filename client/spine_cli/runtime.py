"""What every command finds in its context: how to reach nodes, and time and chance."""

from dataclasses import dataclass, field

import typer

from memory_spine import Transport
from spine_cli.clock import Ambience


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """The world outside the command; a test gives its own."""

    transport: Transport | None = None  # None: the network
    ambience: Ambience = field(default_factory=Ambience)


def runtime_of(ctx: typer.Context) -> Runtime:
    """Return the runtime that the root command put into the context."""
    runtime = ctx.find_object(Runtime)
    assert runtime is not None, "the root command sets it"
    return runtime
