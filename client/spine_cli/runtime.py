"""What every command finds in its context: how to reach nodes, clock and randomness."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import typer

from memory_spine import Transport
from spine_cli.environment import Environment

if TYPE_CHECKING:  # the base installation has no node
    from spine_node.readiness import Announce
    from spine_node.settings import Settings


def _run_node(settings: "Settings", announce: "Announce") -> int:
    from spine_node.__main__ import run  # noqa: PLC0415 - needs what a node needs

    return run(settings, announce)


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """What a command needs from outside; a test passes its own."""

    transport: Transport | None = None  # None: the network
    environment: Environment = field(default_factory=Environment)
    run_node: "Callable[[Settings, Announce], int]" = _run_node


def runtime_of(ctx: typer.Context) -> Runtime:
    """Return the runtime that the root command put into the context."""
    runtime = ctx.find_object(Runtime)
    assert runtime is not None, "the root command sets it"
    return runtime
