"""Leases: acquire, renew, release, inspect, list. Source: api.md §2.5."""

import hashlib

import msgspec

from spine_core.api_keys import Scope
from spine_core.errors import ProblemError
from spine_core.instants import rfc3339
from spine_core.records.filters import EMPTY, canonical
from spine_node.http import audit, data, headers
from spine_node.http.bodies import check_distinct_ids, decode
from spine_node.http.identity import authorise
from spine_node.http.limits import BODY_BYTES_MAX, PAGE_SIZE
from spine_node.http.lists import page_token_of
from spine_node.http.messages import Response
from spine_node.http.render import JSON, common_headers, encode_json
from spine_node.http.request_context import RequestContext
from spine_node.http.schema import LeaseAcquire, LeaseRelease, LeaseRenew
from spine_node.ports import (
    LeaseOutcome,
    LeaseRequest,
    LeaseState,
    ListRequest,
    lease_in,
    leases_of,
)
from spine_node.server_fields import read_body

_acquire = msgspec.json.Decoder(LeaseAcquire)
_renew = msgspec.json.Decoder(LeaseRenew)
_release = msgspec.json.Decoder(LeaseRelease)


async def acquire_lease(context: RequestContext) -> Response:
    """Take a lease; with guards only after each carries the new fence."""
    asked = decode(_acquire, await data.json_body(context, BODY_BYTES_MAX))
    check_distinct_ids(asked.guards, "guards")
    if asked.guards:
        authorise(context.principal, Scope.WRITE, context.namespace)
    request = msgspec.structs.replace(
        _request(context, asked.holder),
        ttl_ms=asked.ttl_ms,
        wait_ms=asked.wait_ms,
        guards=tuple(asked.guards),
    )
    return _granted(context, await context.app.engine.acquire_lease(request))


async def renew_lease(context: RequestContext) -> Response:
    """Let a lease run from now on, under the same fence."""
    asked = decode(_renew, await data.json_body(context, BODY_BYTES_MAX))
    request = msgspec.structs.replace(
        _request(context, asked.holder), fence=asked.fence, ttl_ms=asked.ttl_ms or None
    )
    return _granted(context, await context.app.engine.renew_lease(request))


async def release_lease(context: RequestContext) -> Response:
    """Give a lease back."""
    asked = decode(_release, await data.json_body(context, BODY_BYTES_MAX))
    request = msgspec.structs.replace(_request(context, asked.holder), fence=asked.fence)
    outcome = await context.app.engine.release_lease(request)
    audit.note(data.attempt_of(context, context.path["key"]), 204)
    return Response(204, data.session_headers(context, outcome.session))


async def get_lease(context: RequestContext) -> Response:
    """Tell who has a lease."""
    key = context.path["key"]
    lease = await context.app.engine.lease(context.namespace, key, context.deadline)
    if lease is None:
        raise ProblemError("not-found", "nobody ever took this lease")
    return Response(200, {"Content-Type": JSON}, encode_json(_info(context, lease)))


async def list_leases(context: RequestContext) -> Response:
    """List the leases of a namespace by key, given back or not."""
    options = data.options_of(context)
    request = ListRequest(
        namespace=leases_of(context.namespace),
        scope="exact",
        filter=EMPTY,
        filter_hash=hashlib.sha256(canonical(EMPTY)).digest(),
        order="id",
        page_size=PAGE_SIZE,
        page_token=page_token_of(context.query.get("page_token")),
        session=options.session,
        deadline=context.deadline,
        model=options.model,
    )
    outcome = await context.app.engine.list(request)
    answer = common_headers(context.app, outcome.session, outcome.model)
    answer["Content-Type"] = JSON
    items = [_info(context, lease_in(read_body(item.record.body)[1])) for item in outcome.items]
    page = {"items": items, "next_page_token": outcome.next_page_token}
    return Response(200, answer, encode_json(page))


def _request(context: RequestContext, holder: str) -> LeaseRequest:
    given = context.request.headers
    return LeaseRequest(
        namespace=context.namespace,
        key=context.path["key"],
        holder=holder,
        subject=context.principal.subject,
        session=headers.session(given, context.app.session_keys()),
        deadline=context.deadline,
        idempotency_key=headers.idempotency_key(given),
    )


def _granted(context: RequestContext, outcome: LeaseOutcome) -> Response:
    audit.note(data.attempt_of(context, context.path["key"]), 200)
    answer = data.session_headers(context, outcome.session)
    answer["Content-Type"] = JSON
    lease = outcome.state
    facts = {
        "key": lease.key,
        "holder": lease.holder,
        "fence": lease.fence,
        "ttl_ms": lease.ttl_ms,
        "expires_at": rfc3339(lease.expires_ms),
    }
    return Response(200, answer, encode_json(facts))


def _info(context: RequestContext, lease: LeaseState) -> dict[str, object]:
    return lease_info(lease, held=context.app.engine.is_held(lease))


def lease_info(lease: LeaseState, *, held: bool) -> dict[str, object]:
    """Return a lease as it is seen."""
    return {
        "key": lease.key,
        "held": held,
        "holder": lease.holder if held else None,
        "fence": lease.fence,
        "expires_at": rfc3339(lease.expires_ms) if held else None,
    }
