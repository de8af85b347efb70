"""The operations on leases: acquire, keep, renew, give back, look.

What is kept is renewed when a third of its time is over; what fails is tried again, jittered, until the
holder may no longer rely on the lease. Then it is lost.

Source: api.md §2.5, protocol.md §7.7.
"""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import msgspec

from memory_spine import arguments
from memory_spine.arguments import Identifier, Seconds
from memory_spine.core import Call, Core, path_segment
from memory_spine.effects import Operation, Sleep
from memory_spine.errors import LeaseHeld, LeaseLost, SpineError
from memory_spine.held_lease import RENEWALS, TIME_IS_OVER, HeldLease
from memory_spine.models import LeaseGrant, LeaseInfo, LeasePage
from memory_spine.retry import backoff_s

Asked: TypeAlias = tuple[LeaseGrant, float]  # a grant, and when it was asked for

TTL_S = 30.0
WAIT_MAX_S = 20.0  # of one request: what stands between may cut a longer silence
HOLDER_ENTROPY_BYTES = 4  # several holders in one process


def acquire(
    core: Core,
    key: Identifier,
    *,
    ttl: Seconds,
    wait: Seconds,
    holder: Identifier | None,
    guards: Iterable[Identifier],
) -> Operation[Asked]:
    """Acquire a lease, and wait so long for whoever has it.

    Raises:
        LeaseHeld: another has it still.
    """
    name = arguments.optional_identifier(holder, "holder") or _own_name(core)
    body: dict[str, Any] = {"holder": name, "ttl_ms": arguments.milliseconds(ttl, "ttl")}
    if guarded := arguments.identifiers(guards, "guards"):
        body["guards"] = guarded
    now_s = core.environment.monotonic_s
    ends_s = now_s() + arguments.milliseconds(wait, "wait") / 1000
    tried = 0
    while True:
        sent_s, tried = now_s(), tried + 1
        wait_s = min(max(ends_s - sent_s, 0.0), WAIT_MAX_S)
        body["wait_ms"] = arguments.milliseconds(wait_s, "wait")
        call = _call(core, key, "acquire", body=body, wait_s=wait_s)
        try:
            grant = yield from core.fetch(call, LeaseGrant)
        except LeaseHeld:
            pause_s = backoff_s(tried, core.environment.uniform)
            if now_s() + pause_s >= ends_s:
                raise
            yield Sleep(pause_s)
            continue
        if now_s() - sent_s < grant.ttl_ms / 1000 / RENEWALS:
            return grant, sent_s
        return (yield from prolong(core, key, holder=grant.holder, fence=grant.fence, ttl=ttl))


def prolong(
    core: Core, key: Identifier, *, holder: Identifier, fence: int, ttl: Seconds | None
) -> Operation[Asked]:
    """Renew the lease that this holder has by this fence.

    Raises:
        LeaseLost: it has passed on.
    """
    body = _held(holder, fence)
    if ttl is not None:
        body["ttl_ms"] = arguments.milliseconds(ttl, "ttl")
    sent_s = core.environment.monotonic_s()
    grant = yield from core.fetch(_call(core, key, "renew", body=body), LeaseGrant)
    return grant, sent_s


def release(core: Core, key: Identifier, *, holder: Identifier, fence: int) -> Operation[None]:
    """Give a lease back.

    Raises:
        LeaseLost: it has passed on.
    """
    yield from core.call(_call(core, key, "release", body=_held(holder, fence)))


def renew(core: Core, lease: HeldLease) -> Operation[None]:
    """Renew a held lease; one that has passed on is lost."""
    ttl_s = lease.ttl_ms / 1000
    try:
        grant, sent_s = yield from prolong(
            core, lease.key, holder=lease.holder, fence=lease.fence, ttl=ttl_s
        )
    except LeaseLost as failure:
        lease.lose(str(failure))
        raise
    lease.extend(grant, sent_s)


def keep(core: Core, lease: HeldLease) -> Operation[None]:
    """Renew a lease until it is given back or lost."""
    failed = 0
    try:
        while not lease.ended.done():
            due_s = backoff_s(failed, core.environment.uniform) if failed else lease.renewal_in
            yield Sleep(min(due_s, lease.expires_in), until=lease.ended)
            if lease.lost:
                return
            limit_s = min(core.options.timeout, lease.expires_in)
            try:
                yield from renew(core.within(limit_s), lease)
                failed = 0
            except SpineError:
                failed += 1
    finally:
        lease.lose(TIME_IS_OVER)  # also when the renewal breaks down; no news once it has ended


def give_back(core: Core, lease: HeldLease) -> Operation[None]:
    """End a lease at the end of its block. What fails to be given back ends by its time."""
    if lease.end("it was given back"):
        with suppress(SpineError):
            yield from release(core, lease.key, holder=lease.holder, fence=lease.fence)


def info(core: Core, key: Identifier) -> Operation[LeaseInfo]:
    """Ask who has a lease."""
    return core.fetch(Call(method="GET", path=_path(core, key)), LeaseInfo)


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseQuery:
    """One page of the leases of a namespace."""

    core: Core
    page_token: str | None = None

    def fetch(self) -> Operation[LeasePage]:
        """Ask for this page."""
        query = {} if self.page_token is None else {"page_token": self.page_token}
        path = self.core.namespace_path("leases")
        return self.core.fetch(Call(method="GET", path=path, query=query), LeasePage)

    def after(self, page: LeasePage) -> "LeaseQuery | None":
        """Return the query of the next page, None after the last."""
        token = page.next_page_token
        return None if token is None else replace(self, page_token=token)


def _own_name(core: Core) -> str:
    """Return a name that tells people where the holder runs, and that no other holder has."""
    chance = core.environment.entropy(HOLDER_ENTROPY_BYTES).hex()
    return f"{core.environment.process()}-{chance}"


def _held(holder: Identifier, fence: int) -> dict[str, Any]:
    name = arguments.identifier(holder, "holder")
    return {"holder": name, "fence": arguments.whole(fence, "fence")}


def _call(
    core: Core, key: Identifier, verb: str, *, body: dict[str, Any], wait_s: float = 0.0
) -> Call:
    return Call(
        method="POST",
        path=f"{_path(core, key)}:{verb}",
        body=msgspec.json.encode(body),
        write=True,
        wait_s=wait_s,
    )


def _path(core: Core, key: Identifier) -> str:
    name = path_segment(arguments.identifier(key, "key"))
    return f"{core.namespace_path('leases')}/{name}"
