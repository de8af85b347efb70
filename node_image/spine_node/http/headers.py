"""Request headers: syntax in, values out. A header sent twice, or wrong, is `invalid-request`.

Source: api.md §3.1.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final, NoReturn

from multidict import MultiMapping, istr

from spine_core.errors import InvalidInputError, ProblemError
from spine_core.records.consistency import Model
from spine_core.records.ids import check_id
from spine_core.records.sessions import Session, merge, open_session
from spine_core.records.tokens import SESSION_CHARS_MAX
from spine_node.http.limits import (
    SESSION_TOKENS_MAX,
    TIMEOUT_MS,
    TIMEOUT_MS_MAX,
    TIMEOUT_MS_MIN,
)
from spine_node.ports import Fence

Headers = MultiMapping[str]

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_IDEMPOTENCY_KEY = re.compile(r"[!-~]{1,128}")
_CONDITION = re.compile(r'"[!#-~]{1,32}"|\*')
_FENCE = re.compile(r"[A-Za-z0-9._:@~-]{1,200}=[0-9]{1,18}")
_TIMEOUT = re.compile(r"[0-9]{1,5}")

# Names of headers: an `istr` is folded to lower case once, a `str` with every look-up.
AUTHORIZATION: Final = istr("Authorization")
CONSISTENCY: Final = istr("Spine-Consistency")
CONTENT_ENCODING: Final = istr("Content-Encoding")
CONTENT_TYPE: Final = istr("Content-Type")
FENCE: Final = istr("Spine-Fence")
HOST: Final = istr("Host")
IDEMPOTENCY_KEY: Final = istr("Idempotency-Key")
IF_MATCH: Final = istr("If-Match")
IF_NONE_MATCH: Final = istr("If-None-Match")
PREFER: Final = istr("Prefer")
ORIGIN: Final = istr("Origin")
LAST_EVENT_ID: Final = istr("Last-Event-ID")
REQUEST_ID: Final = istr("Spine-Request-Id")
SESSION: Final = istr("Spine-Session")
TIMEOUT: Final = istr("Spine-Timeout-Ms")

# The calls of an agent carry the same token again and again until one of them brings another.
_opened = lru_cache(maxsize=512)(open_session)  # up to 3 KB each
_MODELS: Final = {model.value: model for model in Model}


def single(headers: Headers, name: str) -> str | None:
    """Return the value of a header, None when it is absent.

    Raises:
        ProblemError: `invalid-request`, sent more than once.
    """
    values = headers.getall(name, None)
    if values is None:
        return None
    if len(values) > 1:
        _reject_unsupported(name, "must be sent once")
    return values[0]


def timeout_s(headers: Headers) -> float:
    """Return the seconds this request may take."""
    text = single(headers, TIMEOUT)
    if text is None:
        return TIMEOUT_MS / 1000
    if not _TIMEOUT.fullmatch(text) or not TIMEOUT_MS_MIN <= int(text) <= TIMEOUT_MS_MAX:
        _reject_unsupported(TIMEOUT, f"must be {TIMEOUT_MS_MIN} to {TIMEOUT_MS_MAX}")
    return int(text) / 1000


def wanted_model(headers: Headers) -> Model | None:
    """Return the consistency model that the request asks for."""
    text = single(headers, CONSISTENCY)
    if text is None:
        return None
    model = _MODELS.get(text)
    if model is None:
        _reject_unsupported(CONSISTENCY, f"must be one of {', '.join(Model)}")
    return model


def session(headers: Headers, keys: tuple[bytes, ...]) -> Session | None:
    """Return the session of the request: its tokens, merged.

    Raises:
        ProblemError: `invalid-session`, `invalid-request` (more tokens than allowed).
    """
    values = headers.getall(SESSION, None)
    if values is None:
        return None
    tokens = [token.strip() for value in values for token in value.split(",")]
    if len(tokens) > SESSION_TOKENS_MAX:
        _reject_unsupported(
            SESSION,
            f"may hold {SESSION_TOKENS_MAX} tokens; POST /v1/session:merge makes one of several",
        )
    return merge_tokens(tokens, keys)


def merge_tokens(tokens: Sequence[str], keys: tuple[bytes, ...]) -> Session:
    """Return one session that covers all the tokens."""
    if any(len(token) > SESSION_CHARS_MAX for token in tokens):
        raise ProblemError("invalid-session", f"a token has {SESSION_CHARS_MAX} characters at most")
    sessions = [_opened(token, keys) for token in tokens]
    return sessions[0] if len(sessions) == 1 else merge(sessions)


def idempotency_key(headers: Headers) -> str | None:
    """Return the caller's name for this operation."""
    return _matching(headers, IDEMPOTENCY_KEY, _IDEMPOTENCY_KEY, "1 to 128 visible ASCII")


def condition(headers: Headers, name: str) -> str | None:
    """Return `*`, or the ETag without its quotes, of `If-Match` or `If-None-Match`."""
    text = _matching(headers, name, _CONDITION, "one strong ETag or *, no list")
    return text if text is None or text == "*" else text[1:-1]


def check_unconditional(headers: Headers) -> None:
    """Reject conditional headers on an endpoint that does not support them.

    Raises:
        ProblemError: `invalid-request`.
    """
    for name in (IF_MATCH, IF_NONE_MATCH, FENCE):
        if name in headers:
            _reject_unsupported(
                name, "is for one memory by its id; in a batch it stands in the operation"
            )


def fence(headers: Headers) -> Fence | None:
    """Return the lease that protects this write, and the number of its grant."""
    text = _matching(headers, FENCE, _FENCE, "KEY=NUMBER of one lease")
    if text is None:
        return None
    lease, _, number = text.rpartition("=")
    try:
        return Fence(check_id(lease), int(number))
    except InvalidInputError as error:
        _reject_unsupported(FENCE, f"must name a lease: {error.message}")


def is_etag(text: str) -> bool:
    """Return whether a text is one strong ETag, quotes included."""
    return text != "*" and _CONDITION.fullmatch(text) is not None


def create_only(headers: Headers) -> bool:
    """Return whether a write must find nothing.

    Raises:
        ProblemError: `invalid-request`, an ETag: a write knows `If-None-Match: *` alone.
    """
    given = condition(headers, IF_NONE_MATCH)
    if given is not None and given != "*":
        _reject_unsupported(IF_NONE_MATCH, "must be * in a write")
    return given == "*"


def wants_current(headers: Headers) -> bool:
    """Return whether a condition that fails is to be answered with the current memory."""
    return any(
        part.strip().lower() == "return=representation"
        for value in headers.getall(PREFER, ())
        for part in value.split(",")
    )


def last_event_id(headers: Headers) -> str | None:
    """Return the cursor with which a client comes back; a browser sends an empty one for none."""
    return single(headers, LAST_EVENT_ID) or None


def request_id(headers: Headers) -> str | None:
    """Return the caller's name for this request if it is usable."""
    text = headers.get(REQUEST_ID)
    return text if text is not None and _REQUEST_ID.fullmatch(text) else None


def check_media_type(headers: Headers, wanted: str = "application/json") -> None:
    """Reject a body that is not declared as uncompressed JSON in UTF-8.

    It also keeps out what a web page may send to another site without asking (CORS "simple requests").

    Raises:
        ProblemError: `unsupported-media-type`.
    """
    media_type, _, options = (single(headers, CONTENT_TYPE) or "").partition(";")
    if media_type.strip().lower() != wanted:
        raise ProblemError("unsupported-media-type", f"the body must be {wanted}")
    if options and options.strip().lower().replace('"', "") != "charset=utf-8":
        raise ProblemError("unsupported-media-type", "JSON takes no option but charset=utf-8")
    if headers.get(CONTENT_ENCODING, "identity").lower() != "identity":
        raise ProblemError("unsupported-media-type", "the body must not be compressed")


def _matching(headers: Headers, name: str, pattern: re.Pattern[str], rule: str) -> str | None:
    if name not in headers:
        return None
    text = single(headers, name)
    if text is not None and not pattern.fullmatch(text):
        _reject_unsupported(name, f"must be {rule}")
    return text


def _reject_unsupported(name: str, message: str) -> NoReturn:
    detail = f"the header {name} {message}"
    raise ProblemError("invalid-request", detail, errors=((name, message),))
