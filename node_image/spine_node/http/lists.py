"""`GET {m}` and `POST {m}:query`: one page of the memories that match a filter."""

import hashlib
from typing import Any, cast, get_args

import msgspec
from msgspec import UNSET, Raw

from spine_core.errors import InvalidInputError, ProblemError
from spine_core.records.filters import EMPTY, Filter, canonical, parse_filter
from spine_node.http import data
from spine_node.http.bodies import check_json, decode
from spine_node.http.limits import (
    JSON_DEPTH_MAX,
    PAGE_SIZE,
    PAGE_SIZE_MAX,
    PAGE_TOKEN_CHARS_MAX,
    QUERY_BYTES_MAX,
)
from spine_node.http.messages import Response
from spine_node.http.queries import choice, includes, integer
from spine_node.http.render import JSON, common_headers, encode_json, memory_json
from spine_node.http.request_context import RequestContext
from spine_node.http.schema import Query, json_of
from spine_node.ports import ListOrder, ListOutcome, ListRequest, ListScope

_json = msgspec.json.Decoder()
_query = msgspec.json.Decoder(Query)


async def list_memories(context: RequestContext) -> Response:
    """`GET {m}`: the parameters are in the URL, 8 KiB in all."""
    query = context.query
    text = query.get("filter")
    asked = Query(
        filter=UNSET if text is None else Raw(text.encode()),
        scope=cast("ListScope", choice(query, "scope", get_args(ListScope), "exact")),
        order=cast("ListOrder", choice(query, "order", get_args(ListOrder), "-created_at")),
        page_size=integer(query, "page_size", PAGE_SIZE, (1, PAGE_SIZE_MAX)),
        page_token=page_token_of(query.get("page_token")),
        include=["embedding"] if includes(query, "embedding") else None,
    )
    return await _page_of(context, asked)


async def query_memories(context: RequestContext) -> Response:
    """`POST {m}:query`: the same parameters as a body, where a filter may be long."""
    return await _page_of(context, decode(_query, await data.json_body(context, QUERY_BYTES_MAX)))


async def _page_of(context: RequestContext, query: Query) -> Response:
    """Answer a page; slots that did not answer are counted in `coverage`."""
    embedding = bool(query.include)
    outcome = await context.app.engine.list(_request(context, query))
    headers = common_headers(context.app, outcome.session, outcome.model)
    headers["Content-Type"] = JSON
    headers["Spine-Index-Lag-Ms"] = str(outcome.index_lag_ms)
    if outcome.answered < outcome.slots:
        headers["Spine-Degraded"] = "partial"
    return Response(200, headers, encode_json(_page(outcome, embedding=embedding)))


def filter_of(json: bytes | None) -> Filter:
    """Return the filter that the JSON means; without one everything matches.

    Raises:
        ProblemError: `invalid-request` (no JSON), `invalid-filter`.
    """
    if json is None:
        return EMPTY
    try:
        value = decode(_json, json, what="the filter")
        if isinstance(value, dict):
            check_json(value, JSON_DEPTH_MAX)  # SQLite cannot compare with larger integers
    except InvalidInputError as error:
        errors = ((error.path.removeprefix("."), error.message),)
        raise ProblemError("invalid-filter", error.message, errors=errors) from error
    return parse_filter(value)


def _request(context: RequestContext, query: Query) -> ListRequest:
    options = data.options_of(context)
    where = filter_of(json_of(query.filter))
    return ListRequest(
        namespace=context.namespace,
        scope=query.scope or "exact",
        filter=where,
        filter_hash=hashlib.sha256(canonical(where)).digest(),
        order=query.order or "-created_at",
        page_size=query.page_size or PAGE_SIZE,
        page_token=query.page_token,
        session=options.session,
        deadline=context.deadline,
        model=options.model,
    )


def page_token_of(text: str | None) -> str | None:
    """Return the token of a page, which the engine opens.

    Raises:
        ProblemError: `invalid-request`.
    """
    if text is not None and not 0 < len(text) <= PAGE_TOKEN_CHARS_MAX:
        errors = (("page_token", f"1 to {PAGE_TOKEN_CHARS_MAX} characters"),)
        raise ProblemError("invalid-request", "the page token is not valid", errors=errors)
    return text


def _page(outcome: ListOutcome, *, embedding: bool) -> dict[str, Any]:
    return {
        "items": [
            msgspec.Raw(
                memory_json(item.namespace, item.memory_id, item.record, embedding=embedding)
            )
            for item in outcome.items
        ],
        "next_page_token": outcome.next_page_token,
        "coverage": {"slots": outcome.slots, "answered": outcome.answered},
    }
