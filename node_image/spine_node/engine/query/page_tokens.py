"""Page tokens: where a list goes on. They name no node and no epoch, so they survive both."""

from collections.abc import Sequence

import msgspec

from spine_core.errors import ProblemError
from spine_core.records.tokens import PAGE_CHARS_MAX, open_token, seal_token
from spine_node.ports import ListOrder, ListRequest
from spine_node.search.messages import Position


class _List(msgspec.Struct, frozen=True, array_like=True):
    """What makes two requests pages of one list."""

    namespace: str
    scope: str
    order: ListOrder
    filter_hash: bytes


class _Token(msgspec.Struct, frozen=True, array_like=True):
    """A position in a list."""

    of: _List
    after: Position


_token = msgspec.msgpack.Decoder(_Token)


def token_after(request: ListRequest, after: Position, keys: Sequence[bytes]) -> str:
    """Return the token of the page behind a position; the first key signs."""
    return seal_token(msgspec.msgpack.encode(_Token(_list_of(request), after)), keys[0])


def position_of_token(request: ListRequest, keys: Sequence[bytes]) -> Position | None:
    """Return where the page asked for begins, None at the start of the list.

    Raises:
        ProblemError: `invalid-request`, the token is not ours or of another list.
    """
    if request.page_token is None:
        return None
    payload = open_token(request.page_token, keys, chars_max=PAGE_CHARS_MAX)
    if payload is None:
        errors = (("page_token", "was not made by this cluster"),)
        raise ProblemError("invalid-request", "the page token is not valid", errors=errors)
    token = _token.decode(payload)
    if token.of != _list_of(request):
        errors = (("page_token", "belongs to another list"),)
        raise ProblemError("invalid-request", "the page token is not of this list", errors=errors)
    return token.after


def _list_of(request: ListRequest) -> _List:
    return _List(request.namespace, request.scope, request.order, request.filter_hash)
