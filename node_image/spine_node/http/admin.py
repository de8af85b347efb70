"""The admin plane, `/admin/v1`: what the operator and `spine topology` tell and ask one node.

Invariant: every call but `GET status` names the store it means, so that a pod which took over an
address with another disk never obeys what was meant for the old one. Source: operator.md §5.1.
"""

from typing import Annotated

import msgspec

from spine_core.errors import ProblemError
from spine_core.records.ids import check_id, check_namespace
from spine_node.http import data
from spine_node.http.bodies import decode
from spine_node.http.headers import single
from spine_node.http.limits import ADMIN_BYTES_MAX
from spine_node.http.messages import Response
from spine_node.http.queries import choice
from spine_node.http.render import JSON, encode_json
from spine_node.http.request_context import RequestContext


class PaceRequest(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Body of `PUT pace`: limits of the pulls during a topology change."""

    bytes_per_s: Annotated[int, msgspec.Meta(ge=0, le=2**53)]
    slots: Annotated[int, msgspec.Meta(ge=0, le=4096)]  # at once; 0 suspends them


_pace = msgspec.json.Decoder(PaceRequest)


async def get_status(context: RequestContext) -> Response:
    """`GET status`: the report of this node."""
    slots = choice(context.query, "slots", ("0", "1"), "0") == "1"
    return _answer(context.app.operations.report(slots=slots))


async def get_topology(context: RequestContext) -> Response:
    """`GET topology`: the persisted document."""
    _check_store(context)
    document = context.app.operations.topology()
    if document is None:
        raise ProblemError("not-found", "this store has not joined a cluster")
    return Response(200, {"Content-Type": JSON}, document)


async def put_topology(context: RequestContext) -> Response:
    """`PUT topology`: answered after durable adoption; a repetition gets the same answer."""
    _check_store(context)
    document = await data.json_body(context, ADMIN_BYTES_MAX)
    epoch, digest = await context.app.operations.adopt(document)
    return _answer({"epoch": epoch, "digest": digest})


async def start_drain(context: RequestContext) -> Response:
    """`POST drain`: client traffic off."""
    return await _drain(context, on=True)


async def stop_drain(context: RequestContext) -> Response:
    """`DELETE drain`: client traffic back on."""
    return await _drain(context, on=False)


async def resign(context: RequestContext) -> Response:
    """`POST resign`: the node coordinates no more and flushes; its report then says `clean`."""
    _check_store(context)
    await context.app.operations.resign()
    return _answer({}, status=202)


async def put_pace(context: RequestContext) -> Response:
    """`PUT pace`: not durable; the operator sends it again when a report differs."""
    _check_store(context)
    pace = decode(_pace, await data.json_body(context, ADMIN_BYTES_MAX))
    context.app.operations.set_pace(bytes_per_s=pace.bytes_per_s, slots=pace.slots)
    return _answer(pace)


async def get_own_record(context: RequestContext) -> Response:
    """`GET records/{namespace}/{record}`: this store's own copy, server names included."""
    _check_store(context)
    namespace = check_namespace(context.path["namespace"], allow_server=True)
    found = context.app.operations.own_record(namespace, check_id(context.path["record"]))
    if found is None:
        raise ProblemError("not-found", "this store has no copy")
    return _answer(dict(found))


def _check_store(context: RequestContext) -> None:
    """Reject a call that names another store, or none.

    Raises:
        ProblemError: `misdirected`, or `invalid-request` when it names none.
    """
    store_id = single(context.request.headers, "Spine-Store")
    if store_id is None:
        errors = (("Spine-Store", "must name the store"),)
        raise ProblemError(
            "invalid-request", "the header Spine-Store must name the store", errors=errors
        )
    if store_id != context.app.operations.store_id():
        raise ProblemError("misdirected", "another store lives here")


async def _drain(context: RequestContext, *, on: bool) -> Response:
    _check_store(context)
    in_flight = await context.app.operations.drain(on=on)
    return _answer({"draining": on, "in_flight": in_flight})


def _answer(facts: object, status: int = 200) -> Response:
    return Response(status, {"Content-Type": JSON}, encode_json(facts))
