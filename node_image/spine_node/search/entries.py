"""What the index keeps of a record, and the memory that filters look at."""

import msgspec

from spine_core.ids import key_hash
from spine_core.records import FLAG_TOMBSTONE, Record, decode, split_body
from spine_core.versions import Version, hlc_of, ms_of
from spine_node.store import checksum, split_key

_HALF = 1 << 63


class _Client(msgspec.Struct):
    """The indexed fields of the client's JSON; the rest is skipped, not decoded."""

    tags: list[str] = []
    agent_id: str | None = None
    user_id: str | None = None
    thread_id: str | None = None
    importance: float | None = None
    pinned: bool | None = None


class _Server(msgspec.Struct):
    """The fields that the server keeps beside the client's JSON."""

    created_at: int
    writer: str | None = None


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One record as the index sees it; `client` None is a tombstone."""

    slot: int
    namespace: str
    memory_id: str
    version: Version
    hash: int  # key hash as SQLite's signed integer
    created_ms: int = 0
    expires_ms: int | None = None
    client: _Client | None = None

    @property
    def updated_ms(self) -> int:
        """When this version was stamped."""
        return ms_of(hlc_of(self.version))


_client = msgspec.json.Decoder(_Client)
_server = msgspec.msgpack.Decoder(_Server)


def entry_of(key: bytes, raw: bytes) -> Entry:
    """Read what is indexed of a stored record.

    Raises:
        CorruptRecordError: the bytes fail their checksum.
    """
    slot, namespace, memory_id = split_key(key)
    record = decode(raw, checksum)
    hashed = signed(key_hash(namespace, memory_id))
    server_fields, client_json = split_body(record.body)
    if record.flags & FLAG_TOMBSTONE:
        return Entry(
            slot=slot, namespace=namespace, memory_id=memory_id, version=record.version, hash=hashed
        )
    return Entry(
        slot=slot,
        namespace=namespace,
        memory_id=memory_id,
        version=record.version,
        hash=hashed,
        created_ms=_server.decode(server_fields).created_at,
        expires_ms=record.expires_ms or None,
        client=_client.decode(client_json),
    )


def memory_of(namespace: str, memory_id: str, record: Record) -> dict[str, object]:
    """Return a live record as filters look at it: times in milliseconds, None when never."""
    server_fields, client_json = split_body(record.body)
    server = _server.decode(server_fields)
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
    return _server.decode(split_body(record.body)[0]).created_at


def signed(unsigned: int) -> int:
    """Return a u64 as SQLite stores it."""
    return unsigned - 2 * _HALF if unsigned >= _HALF else unsigned


def unsigned(stored: int) -> int:
    """Return the u64 that SQLite holds as a signed integer."""
    return stored + 2 * _HALF if stored < 0 else stored
