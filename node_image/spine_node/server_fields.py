"""What the server keeps beside the client's JSON in a record's body (protocol.md §2.5).

The coordinator writes it, the HTTP API renders it, the query index reads it: one layout for all.
"""

from typing import Any

import msgspec

from spine_core.records.encoding import split_body


class ServerFields(msgspec.Struct):
    """MessagePack map of these names; a tombstone has it too."""

    created_at: int  # ms since 1970
    writer: str  # subject of the credential
    guard: dict[str, Any] | None = None  # lease and fence, when registers have come


_decoder = msgspec.msgpack.Decoder(ServerFields)
pack_server_fields = msgspec.msgpack.Encoder().encode


def read_body(body: bytes) -> tuple[ServerFields, bytes]:
    """Return the server's fields and the client's JSON of a record's body.

    Raises:
        msgspec.DecodeError: the bytes are none.
    """
    packed, client_json = split_body(body)
    return _decoder.decode(packed), client_json
