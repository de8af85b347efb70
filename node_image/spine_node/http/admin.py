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
from spine_node.http.call import Call
from spine_node.http.headers import single
from spine_node.http.limits import ADMIN_BYTES_MAX
from spine_node.http.messages import Response
from spine_node.http.queries import choice
from spine_node.http.render import JSON, encode_json


class Pace(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The bound on the pulls of a change."""

    bytes_per_s: Annotated[int, msgspec.Meta(ge=0, le=2**53)]
    slots: Annotated[int, msgspec.Meta(ge=0, le=4096)]  # at once; 0 suspends them


_pace = msgspec.json.Decoder(Pace)


async def get_status(call: Call) -> Response:
    """`GET status`: the report of this node."""
    slots = choice(call.query, "slots", ("0", "1"), "0") == "1"
    return _answer(call.edge.operations.report(slots=slots))


async def get_topology(call: Call) -> Response:
    """`GET topology`: the persisted document."""
    _check_store(call)
    document = call.edge.operations.topology()
    if document is None:
        raise ProblemError("not-found", "this store has not joined a cluster")
    return Response(200, {"Content-Type": JSON}, document)


async def put_topology(call: Call) -> Response:
    """`PUT topology`: answered after durable adoption; a repetition gets the same answer."""
    _check_store(call)
    document = await data.json_body(call, ADMIN_BYTES_MAX)
    epoch, digest = await call.edge.operations.adopt(document)
    return _answer({"epoch": epoch, "digest": digest})


async def start_drain(call: Call) -> Response:
    """`POST drain`: client traffic off."""
    return await _drain(call, on=True)


async def stop_drain(call: Call) -> Response:
    """`DELETE drain`: client traffic back on."""
    return await _drain(call, on=False)


async def resign(call: Call) -> Response:
    """`POST resign`: the node coordinates no more and flushes; its report then says `clean`."""
    _check_store(call)
    await call.edge.operations.resign()
    return _answer({}, status=202)


async def put_pace(call: Call) -> Response:
    """`PUT pace`: not durable; the operator sends it again when a report differs."""
    _check_store(call)
    pace = decode(_pace, await data.json_body(call, ADMIN_BYTES_MAX))
    call.edge.operations.set_pace(bytes_per_s=pace.bytes_per_s, slots=pace.slots)
    return _answer(pace)


async def get_own_record(call: Call) -> Response:
    """`GET records/{namespace}/{record}`: this store's own copy, server names included."""
    _check_store(call)
    namespace = check_namespace(call.path["namespace"], allow_server=True)
    found = call.edge.operations.own_record(namespace, check_id(call.path["record"]))
    if found is None:
        raise ProblemError("not-found", "this store has no copy")
    return _answer(dict(found))


def _check_store(call: Call) -> None:
    """Let the call pass if it means this store.

    Raises:
        ProblemError: `misdirected`, or `invalid-request` when it names none.
    """
    store_id = single(call.request.headers, "Spine-Store")
    if store_id is None:
        errors = (("Spine-Store", "must name the store"),)
        raise ProblemError(
            "invalid-request", "the header Spine-Store must name the store", errors=errors
        )
    if store_id != call.edge.operations.store_id():
        raise ProblemError("misdirected", "another store lives here")


async def _drain(call: Call, *, on: bool) -> Response:
    _check_store(call)
    in_flight = await call.edge.operations.drain(on=on)
    return _answer({"draining": on, "in_flight": in_flight})


def _answer(facts: object, status: int = 200) -> Response:
    return Response(status, {"Content-Type": JSON}, encode_json(facts))
