"""`mutate`: read, change, write, and again until nobody came in between. No change of others is lost.

A write is applied to the very version that its function saw, or to none. One that lost the race is told
the winner's memory, so each lost race costs one round trip; the next attempt is another change, with an
idempotency key of its own. An attempt that may have been applied ends it: to try again would change twice.

Source: api.md §6.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from memory_spine import arguments
from memory_spine.arguments import Identifier
from memory_spine.conditions import Condition, Fence, FenceLike, fence_of
from memory_spine.core import Core
from memory_spine.drafts import Draft, replacement_of
from memory_spine.effects import Operation, Sleep
from memory_spine.errors import ConfigError, NotFound, PreconditionFailed
from memory_spine.models import Memory
from memory_spine.operations import call_of, change_of
from memory_spine.retry import backoff_s

Change: TypeAlias = Callable[[Memory | None], Memory | Draft | None]

LONGEST = 3  # losses after which the pause grows no more: who loses often must not starve
_STRONG = {"Spine-Consistency": "strong"}


def mutate(
    core: Core,
    memory_id: Identifier,
    change: Change,
    *,
    fence: FenceLike | None,
    timeout: float | None,
) -> Operation[Memory | None]:
    """Store what the function makes of the memory as it is; return what stands there then."""
    name = arguments.identifier(memory_id, "memory_id")
    grant = None if fence is None else fence_of(fence)
    limit_s = core.options.timeout if timeout is None else arguments.number(timeout, "timeout")
    ends_s = core.environment.monotonic_s() + limit_s
    seen = yield from _read(core, name, ends_s)
    lost = 0
    while (changed := change(seen)) is not None:
        call = change_of(core, "PUT", name, _condition(seen, grant), body=_body(name, changed))
        try:
            return (yield from _left(core, ends_s).fetch(call, Memory))
        except PreconditionFailed as failure:
            lost += 1
            pause_s = backoff_s(min(lost, LONGEST), core.environment.uniform)
            ends_first = core.environment.monotonic_s() + pause_s >= ends_s
            if ends_first or _perhaps_applied(failure, created=seen is None):
                raise
            refusal = failure
        yield Sleep(pause_s)
        seen = yield from _winner(core, name, refusal, ends_s, created=seen is None)
    return seen


def _perhaps_applied(refusal: PreconditionFailed, *, created: bool) -> bool:
    """Whether an attempt that was refused may yet have changed the memory, or still do so.

    A register knows a repeated operation, so a refusal of a repetition speaks for the first try too;
    and a version that has passed never comes back. That nothing stands there can come back.
    """
    if created:
        return refusal.may_have_been_applied
    return refusal.outcome != "not-applied"


def _winner(
    core: Core, name: str, refusal: PreconditionFailed, ends_s: float, *, created: bool
) -> Operation[Memory | None]:
    """Return the memory that won: as the refusal tells it, else as a read finds it."""
    current = refusal.current
    if current is not None and current.id == name:
        return current
    if current is None and refusal.current_version is None and not created:
        return None  # it was deleted
    return (yield from _read(core, name, ends_s))


def _condition(seen: Memory | None, grant: Fence | None) -> Condition:
    if seen is None:
        return Condition(create_only=True, fence=grant)
    return Condition(if_match=seen.etag, fence=grant)


def _body(name: str, changed: object) -> Mapping[str, Any]:
    if isinstance(changed, Draft):
        return changed.body
    if not isinstance(changed, Memory):
        kind = type(changed).__name__
        raise TypeError(f"the function must return a Memory, a Draft or None, not {kind}")
    about, body = replacement_of(changed, "", {})
    if about != name:
        raise ConfigError(f"the function of {name!r} returned the memory {about!r}")
    return body


def _read(core: Core, name: str, ends_s: float) -> Operation[Memory | None]:
    call = call_of(core, "GET", name, headers=_STRONG)
    try:
        return (yield from _left(core, ends_s).fetch(call, Memory))
    except NotFound:
        return None


def _left(core: Core, ends_s: float) -> Core:
    return core.within(ends_s - core.environment.monotonic_s())
