"""Render records as JSON and headers. The client's JSON is spliced in as it was kept, never decoded.

Sources: api.md §1.2 and §3.1; performance.md (GET never decodes).
"""

from functools import lru_cache

import msgspec

from spine_core.instants import rfc3339
from spine_core.records.consistency import Model
from spine_core.records.encoding import Record
from spine_core.records.sessions import Session, seal_session
from spine_core.records.versions import etag_of, hlc_of, ms_of
from spine_node.http.request_context import AppContext
from spine_node.server_fields import read_body

JSON = "application/json"

_EMBEDDING = b',"embedding":'
_LAST_BUT_EMBEDDING = b',"derived_from":['
_OMITTED = b',"omitted":["embedding"]}'

encode_json = msgspec.json.Encoder().encode


def memory_json(namespace: str, memory_id: str, record: Record, *, embedding: bool) -> bytes:
    """Return the JSON of a live record; without its embedding it says so in `omitted`."""
    server, kept = read_body(record.body)
    created = rfc3339(server.created_at)
    updated_ms = ms_of(hlc_of(record.version))
    updated = created if updated_ms == server.created_at else rfc3339(updated_ms)
    expires = f'"{rfc3339(record.expires_ms)}"' if record.expires_ms else "null"
    guard = "" if server.guard is None else f'"guard":{encode_json(server.guard).decode()},'
    prefix = (
        f'{{"id":"{memory_id}","namespace":"{namespace}","version":"{etag_of(record.version)}",'
        f'"created_at":"{created}","updated_at":"{updated}","expires_at":{expires},'
        f'"writer":{_json_text(server.writer)},{guard}'
    )
    return prefix.encode() + (kept if embedding else without_embedding(kept))[1:]


def without_embedding(kept: bytes) -> bytes:
    """Return the kept JSON with the name of its embedding in the place of the embedding.

    A client that writes the view back sends `omitted` too, and the embedding stays (`data.write`).

    An unescaped quote stands only where a name or string begins or ends, so these bytes are never
    inside a text; and the last `derived_from` is ours, for metadata stands before it.
    """
    start = kept.find(_EMBEDDING, kept.rfind(_LAST_BUT_EMBEDDING))
    return kept if start < 0 else kept[:start] + _OMITTED


def common_headers(app: AppContext, session: Session, model: Model) -> dict[str, str]:
    """Return the headers of every answer about records."""
    return {
        "Spine-Session": seal_session(session, app.session_keys()[0]),
        "Spine-Consistency": model.value,
    }


def etag_header(record: Record) -> str:
    """Return the ETag of a record, in its quotes."""
    return f'"{etag_of(record.version)}"'


@lru_cache(maxsize=1024)  # writers are few
def _json_text(text: str) -> str:
    return encode_json(text).decode()
