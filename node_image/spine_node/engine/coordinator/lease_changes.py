"""The record of a lease, and what is asked of it as changes of its register (protocol.md §7.7).

`spine_core.leases` decides. The record lies at (`NAMESPACE._leases`, key) and never expires, since its
fence has to go on from the last one.
"""

from typing import Any

import msgspec

from spine_core import leases
from spine_core.leases import NOBODY, Held, Lease, Lost
from spine_core.records.encoding import Record
from spine_core.replication.registers.changes import Basis, Refusal
from spine_node.ports import LeaseState, lease_in
from spine_node.server_fields import read_body

encode_state = msgspec.json.Encoder().encode


class LeaseAsk(msgspec.Struct, frozen=True, kw_only=True):
    """What a holder asks, as the `memory` of a change."""

    key: str
    holder: str
    fence: int = 0  # of its grant, to renew and to release
    ttl_ms: int | None = None  # None: as before
    guards: tuple[str, ...] = ()


class LeaseRefusal(msgspec.Struct, frozen=True, kw_only=True):
    """The `reason` of a refusal: who has the lease and how long, or that it was lost."""

    lost: bool = False
    holder: str = NOBODY
    left_ms: int = 0


def state_of(record: Record | None) -> LeaseState | None:
    """Return what the record of a lease says, None where nobody ever took it."""
    if record is None:
        return None
    body = read_body(record.body)[1]
    return lease_in(body) if body else None


def lease_of(state: LeaseState | None) -> Lease | None:
    """Return the lease that `spine_core.leases` decides about."""
    return None if state is None else Lease(state.holder, state.fence, state.expires_ms)


def acquired(basis: Basis, ask: LeaseAsk) -> Refusal | dict[str, Any]:
    """Return the fields of the lease after an acquire."""
    assert ask.ttl_ms is not None, "an acquire says how long"
    lease = leases.acquire(lease_of(state_of(basis.live)), ask.holder, ask.ttl_ms, basis.now_ms)
    if isinstance(lease, Held):
        return _refusal(LeaseRefusal(holder=lease.holder, left_ms=lease.left_ms))
    return _fields(lease, ask.ttl_ms, ask)


def renewed(basis: Basis, ask: LeaseAsk) -> Refusal | dict[str, Any]:
    """Return the fields of the lease after a renewal."""
    state = state_of(basis.live)
    ttl_ms = ask.ttl_ms or (0 if state is None else state.ttl_ms)
    lease = leases.renew(lease_of(state), ask.holder, ask.fence, ttl_ms, basis.now_ms)
    if isinstance(lease, Lost):
        return _refusal(LeaseRefusal(lost=True, holder=NOBODY if state is None else state.holder))
    assert state is not None, "what nobody took is lost"
    return _fields(lease, ttl_ms, ask) | {"guards": state.guards}


def released(basis: Basis, ask: LeaseAsk) -> Refusal | dict[str, Any]:
    """Return the fields of the lease after a release."""
    state = state_of(basis.live)
    lease = leases.release(lease_of(state), ask.holder, ask.fence)
    if isinstance(lease, Lost):
        return _refusal(LeaseRefusal(lost=True, holder=NOBODY if state is None else state.holder))
    return _fields(lease, 0, ask)


def _fields(lease: Lease, ttl_ms: int, ask: LeaseAsk) -> dict[str, Any]:
    return {
        "key": ask.key,
        "holder": lease.holder,
        "fence": lease.fence,
        "ttl_ms": ttl_ms,
        "expires_ms": lease.expires_ms,
        "guards": ask.guards,
    }


def _refusal(why: LeaseRefusal) -> Refusal:
    return Refusal(encode_state(why).decode())
