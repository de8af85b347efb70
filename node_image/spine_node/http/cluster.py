"""`/v1/cluster`, `/v1/whoami` and `/v1/session:merge`."""

import msgspec

from spine_core.instants import rfc3339
from spine_core.records.sessions import seal_session
from spine_node.http import data, limits
from spine_node.http.bodies import decode
from spine_node.http.headers import merge_tokens
from spine_node.http.messages import Response
from spine_node.http.queries import includes
from spine_node.http.render import JSON, encode_json
from spine_node.http.request_context import RequestContext
from spine_node.http.schema import SessionMerge

_session_merge = msgspec.json.Decoder(SessionMerge)


async def get_cluster(context: RequestContext) -> Response:
    """`GET /v1/cluster`: the cluster as this node knows it, and every limit of the API."""
    view = context.app.operations.cluster(slots=includes(context.query, "slots"))
    return _answer({**view, "limits": limits.PUBLISHED})


async def whoami(context: RequestContext) -> Response:
    """`GET /v1/whoami`: the caller, as the node sees it."""
    who = context.principal
    facts: dict[str, object] = {
        "subject": who.subject,
        "auth": who.auth,
        "scopes": sorted(who.scopes),
        "namespaces": who.namespaces,
        "not_after": None if who.not_after_ms is None else rfc3339(who.not_after_ms),
    }
    if who.key_id is not None:
        facts["key_id"] = who.key_id
    return _answer(facts)


async def merge_sessions(context: RequestContext) -> Response:
    """`POST /v1/session:merge`: one token that covers them all."""
    body = await data.json_body(context, limits.BODY_BYTES_MAX)
    keys = context.app.session_keys()
    session = merge_tokens(decode(_session_merge, body).tokens, keys)
    return _answer({"token": seal_session(session, keys[0])})


def _answer(facts: dict[str, object]) -> Response:
    return Response(200, {"Content-Type": JSON}, encode_json(facts))
