"""Every limit of the public API, in one place; `GET /v1/cluster` publishes them.

Source: api.md §1.2, §2 and §3.3.
"""

from typing import Final

from spine_core.records.tokens import CURSOR_CHARS_MAX, PAGE_CHARS_MAX, SESSION_CHARS_MAX

# One memory with every field at its limit, also when each character comes as an escape: `\u00e9`
# is three times, a control character six times its UTF-8.
BODY_BYTES_MAX: Final = 1024 * 1024
BATCH_BYTES_MAX: Final = 8 * 1024 * 1024
ADMIN_BYTES_MAX: Final = 4 * 1024 * 1024  # a topology document of thousands of nodes
QUERY_BYTES_MAX: Final = 4 * 1024 * 1024  # the largest filter: 64 lists of 200 ids
HEADER_BYTES_MAX: Final = 8 * 1024  # each header line, and the URL
HEADERS_MAX: Final = 128

CONTENT_BYTES_MAX: Final = 64 * 1024
METADATA_BYTES_MAX: Final = 64 * 1024
METADATA_DEPTH_MAX: Final = 16
TAGS_MAX: Final = 32
TAG_CHARS_MAX: Final = 64
NAME_CHARS_MAX: Final = 128  # agent_id, user_id, thread_id
TTL_SECONDS_MAX: Final = 315_360_000  # ten years
VECTOR_MAX: Final = 4096
SOURCES_MAX: Final = 64  # derived_from
JSON_DEPTH_MAX: Final = 32  # of what is no metadata: a filter
INTEGER_MIN: Final = -(2**63)  # msgspec decodes beyond 64 bits, other readers of JSON do not
INTEGER_MAX: Final = 2**63 - 1

BATCH_OPERATIONS_MAX: Final = 500
BATCH_AT_ONCE: Final = 64  # fills a group commit, leaves the engine capacity for other requests
PAGE_SIZE_MAX: Final = 500
PAGE_SIZE: Final = 50
PAGE_TOKEN_CHARS_MAX: Final = PAGE_CHARS_MAX

CURSOR_TOKEN_CHARS_MAX: Final = CURSOR_CHARS_MAX
CHANGES_MAX: Final = 500  # events of one long poll
CHANGES_WAIT_MS_MAX: Final = 30_000
WATCHES_MAX: Final = 64  # of one credential and node, long polls among them
WATCH_BUFFER_BYTES_MAX: Final = 1024 * 1024  # of events that a client has not taken

TIMEOUT_MS_MIN: Final = 10
TIMEOUT_MS_MAX: Final = 30_000
TIMEOUT_MS: Final = 2_000
SESSION_TOKENS_MAX: Final = 16  # of one request, in one header or several, or merged by one call
IN_FLIGHT_MAX: Final = (
    2048  # client requests at once; beyond it `overloaded`, before memory runs out
)

PUBLISHED: Final[dict[str, int]] = {
    "body_bytes": BODY_BYTES_MAX,
    "batch_bytes": BATCH_BYTES_MAX,
    "query_bytes": QUERY_BYTES_MAX,
    "batch_operations": BATCH_OPERATIONS_MAX,
    "header_bytes": HEADER_BYTES_MAX,
    "headers": HEADERS_MAX,
    "content_bytes": CONTENT_BYTES_MAX,
    "metadata_bytes": METADATA_BYTES_MAX,
    "metadata_depth": METADATA_DEPTH_MAX,
    "tags": TAGS_MAX,
    "tag_chars": TAG_CHARS_MAX,
    "name_chars": NAME_CHARS_MAX,
    "ttl_seconds": TTL_SECONDS_MAX,
    "vector": VECTOR_MAX,
    "derived_from": SOURCES_MAX,
    "page_size": PAGE_SIZE_MAX,
    "page_token_chars": PAGE_TOKEN_CHARS_MAX,
    "cursor_chars": CURSOR_TOKEN_CHARS_MAX,
    "changes": CHANGES_MAX,
    "changes_wait_ms": CHANGES_WAIT_MS_MAX,
    "watches": WATCHES_MAX,
    "watch_buffer_bytes": WATCH_BUFFER_BYTES_MAX,
    "timeout_ms": TIMEOUT_MS_MAX,
    "session_chars": SESSION_CHARS_MAX,
    "session_tokens": SESSION_TOKENS_MAX,
    "in_flight": IN_FLIGHT_MAX,
}
