"""What the index keeps of a record, and the memory that filters look at."""

import msgspec

from spine_core.errors import CorruptRecordError
from spine_core.records.encoding import FLAG_TOMBSTONE, Record, decode
from spine_core.records.versions import ABSENT, Version, hlc_of, ms_of
from spine_node.search.schema import CREATED_MS_MAX
from spine_node.server_fields import read_body
from spine_node.store import checksum, split_key


class Client(msgspec.Struct, frozen=True, gc=False):
    """The indexed fields of the client's JSON; the rest is skipped, not decoded."""

    tags: list[str] = []
    agent_id: str | None = None
    user_id: str | None = None
    thread_id: str | None = None
    importance: float | None = None
    pinned: bool | None = None


class Entry(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One record as the index is to show it. `client` None: deleted, or purged (version ABSENT)."""

    key: bytes
    slot: int
    namespace: str
    memory_id: str
    version: Version
    created_ms: int = 0
    expires_ms: int = 0  # never
    client: Client | None = None
    damaged: bool = False  # the record is held and cannot be read


_client = msgspec.json.Decoder(Client)


def entry_of(key: bytes, raw: bytes | None) -> Entry:
    """Read what is indexed of a record; `raw` None when the store no longer holds it.

    Raises:
        CorruptRecordError: the bytes fail their checksum, or are no memory.
    """
    slot, namespace, memory_id = split_key(key)
    if raw is None:
        return Entry(key=key, slot=slot, namespace=namespace, memory_id=memory_id, version=ABSENT)
    record = decode(raw, checksum)
    if record.flags & FLAG_TOMBSTONE:
        return Entry(
            key=key, slot=slot, namespace=namespace, memory_id=memory_id, version=record.version
        )
    try:
        server, client_json = read_body(record.body)
        if server.created_at > CREATED_MS_MAX:
            raise CorruptRecordError("created in a time that no row can have")
        return Entry(
            key=key,
            slot=slot,
            namespace=namespace,
            memory_id=memory_id,
            version=record.version,
            created_ms=server.created_at,
            expires_ms=record.expires_ms,
            client=_client.decode(client_json),
        )
    except msgspec.DecodeError as error:
        raise CorruptRecordError(f"not a memory: {error}") from error


def damaged_entry(key: bytes) -> Entry:
    """Return what is known of a record that is held and cannot be read."""
    slot, namespace, memory_id = split_key(key)
    return Entry(
        key=key, slot=slot, namespace=namespace, memory_id=memory_id, version=ABSENT, damaged=True
    )


def memory_of(namespace: str, memory_id: str, record: Record) -> dict[str, object]:
    """Return a live record as filters look at it: times in milliseconds, None when never."""
    server, client_json = read_body(record.body)
    memory: dict[str, object] = msgspec.json.decode(client_json)
    memory.update(
        id=memory_id,
        namespace=namespace,
        writer=server.writer,
        created_at=server.created_at,
        updated_at=ms_of(hlc_of(record.version)),
        expires_at=record.expires_ms or None,
    )
    return memory


def created_ms_of(record: Record) -> int:
    """Return when a live record was created, milliseconds since 1970."""
    return read_body(record.body)[0].created_at
