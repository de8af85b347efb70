"""Memory Spine: replicated shared memory for fleets of AI agents. This is its Python client.

    from memory_spine import Spine, AsyncSpine

`Spine` blocks, `AsyncSpine` awaits; both have the same names and parameters and share one core.
Importing this package does nothing and loads next to nothing: what a name needs is imported when
the name is first used, so that a program with `Spine` never pays for aiohttp.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from memory_spine.aio import AsyncSpine
    from memory_spine.aio_leases import AsyncLease
    from memory_spine.drafts import Draft
    from memory_spine.effects import Answer, AsyncTransport, Request, Transport
    from memory_spine.errors import (
        ConfigError,
        ConnectionFailed,
        LeaseHeld,
        LeaseLost,
        NotFound,
        PreconditionFailed,
        ProblemError,
        SpineError,
        Unavailable,
    )
    from memory_spine.models import (
        BatchResult,
        ChangePage,
        Cluster,
        Event,
        Identity,
        ItemResult,
        LeaseInfo,
        Memory,
        Page,
    )
    from memory_spine.stats import AnswerInfo, Stats
    from memory_spine.sync import Spine
    from memory_spine.sync_leases import Lease

_HOMES = {
    "memory_spine.aio": ("AsyncSpine",),
    "memory_spine.aio_leases": ("AsyncLease",),
    "memory_spine.drafts": ("Draft",),
    "memory_spine.effects": ("Answer", "AsyncTransport", "Request", "Transport"),
    "memory_spine.errors": (
        "ConfigError",
        "ConnectionFailed",
        "LeaseHeld",
        "LeaseLost",
        "NotFound",
        "PreconditionFailed",
        "ProblemError",
        "SpineError",
        "Unavailable",
    ),
    "memory_spine.models": (
        "BatchResult",
        "ChangePage",
        "Cluster",
        "Event",
        "Identity",
        "ItemResult",
        "LeaseInfo",
        "Memory",
        "Page",
    ),
    "memory_spine.stats": ("AnswerInfo", "Stats"),
    "memory_spine.sync": ("Spine",),
    "memory_spine.sync_leases": ("Lease",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Answer",
    "AnswerInfo",
    "AsyncLease",
    "AsyncSpine",
    "AsyncTransport",
    "BatchResult",
    "ChangePage",
    "Cluster",
    "ConfigError",
    "ConnectionFailed",
    "Draft",
    "Event",
    "Identity",
    "ItemResult",
    "Lease",
    "LeaseHeld",
    "LeaseInfo",
    "LeaseLost",
    "Memory",
    "NotFound",
    "Page",
    "PreconditionFailed",
    "ProblemError",
    "Request",
    "Spine",
    "SpineError",
    "Stats",
    "Transport",
    "Unavailable",
]


def __dir__() -> list[str]:
    """Show what can be imported, also what was not used yet."""
    return sorted({*globals(), *__all__})


def __getattr__(name: str) -> object:
    """Import the module that holds `name` when it is first asked for."""
    if (home := _HOME_OF.get(name)) is None:
        raise AttributeError(f"module 'memory_spine' has no attribute {name!r}")
    value: object = getattr(import_module(home), name)
    globals()[name] = value
    return value
