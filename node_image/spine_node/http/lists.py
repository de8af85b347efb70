"""`GET {m}`: one page of the memories that match a filter."""

import hashlib
from typing import Any, Literal, cast

import msgspec

from spine_core.errors import InvalidInputError, ProblemError
from spine_core.records.filters import EMPTY, Filter, canonical, parse_filter
from spine_node.http import data
from spine_node.http.bodies import check_json, decode
from spine_node.http.limits import (
    JSON_DEPTH_MAX,
    PAGE_SIZE,
    PAGE_SIZE_MAX,
    PAGE_TOKEN_CHARS_MAX,
)
from spine_node.http.messages import Response
from spine_node.http.queries import choice, includes, integer
from spine_node.http.render import JSON, common_headers, encode_json, memory_json
from spine_node.http.request_context import RequestContext
from spine_node.ports import ListOutcome, ListRequest

_json = msgspec.json.Decoder()


async def list_memories(context: RequestContext) -> Response:
    """Answer a page; slots that did not answer are counted in `coverage`."""
    embedding = includes(context.query, "embedding")
    outcome = await context.app.engine.list(_request(context))
    headers = common_headers(context.app, outcome.session, outcome.model)
    headers["Content-Type"] = JSON
    headers["Spine-Index-Lag-Ms"] = str(outcome.index_lag_ms)
    if outcome.answered < outcome.slots:
        headers["Spine-Degraded"] = "partial"
    return Response(200, headers, encode_json(_page(outcome, embedding=embedding)))


def filter_of(text: str | None) -> Filter:
    """Return the filter of a query parameter; without one everything matches.

    Raises:
        ProblemError: `invalid-request` (no JSON), `invalid-filter`.
    """
    if text is None:
        return EMPTY
    try:
        value = decode(_json, text.encode(), what="the filter")
        if isinstance(value, dict):
            check_json(value, JSON_DEPTH_MAX)  # SQLite cannot compare with larger integers
    except InvalidInputError as error:
        errors = ((error.path.removeprefix("."), error.message),)
        raise ProblemError("invalid-filter", error.message, errors=errors) from error
    return parse_filter(value)


def _request(context: RequestContext) -> ListRequest:
    query = context.query
    options = data.options_of(context)
    where = filter_of(query.get("filter"))
    scope = choice(query, "scope", ("exact", "subtree"), "exact")
    order = choice(query, "order", ("-created_at", "created_at", "id"), "-created_at")
    return ListRequest(
        namespace=context.namespace,
        scope=cast("Literal['exact', 'subtree']", scope),
        filter=where,
        filter_hash=hashlib.sha256(canonical(where)).digest(),
        order=cast("Literal['-created_at', 'created_at', 'id']", order),
        page_size=integer(query, "page_size", PAGE_SIZE, (1, PAGE_SIZE_MAX)),
        page_token=_page_token(query.get("page_token")),
        session=options.session,
        deadline=context.deadline,
        model=options.model,
    )


def _page_token(text: str | None) -> str | None:
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
