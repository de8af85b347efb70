"""Server-sent events, read as they come: a chunk may end anywhere, also inside a character. Pure.

Source: https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation.
Unlike there, what has a name or an id and no data counts too: an id alone moves the cursor on.
"""

import msgspec

MESSAGE_BYTES_MAX = 8 * 1024 * 1024  # far more than a memory with its vector has
_BOM = b"\xef\xbb\xbf"


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One event, before anybody knows what it means."""

    event: str = ""
    data: str = ""
    id: str | None = None  # the newest so far


class EventStream:
    """Cuts one stream into messages; comments and unknown fields are skipped."""

    def __init__(self) -> None:
        self._rest = b""  # of a line that has not ended
        self._bytes = 0  # of the message that has not ended
        self._began = False
        self._after_return = False  # a newline here belongs to the carriage return before it
        self._event, self._data = "", list[str]()
        self._moved = False
        self._id: str | None = None

    def take(self, chunk: bytes) -> list[Message]:
        """Return the messages that end in this chunk.

        Raises:
            ValueError: a message is larger than any that a node sends.
        """
        if self._after_return and chunk.startswith(b"\n"):
            chunk, self._after_return = chunk[1:], False
        if not chunk:
            return []
        self._after_return = chunk.endswith(b"\r")
        text = self._rest + chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *lines, self._rest = text.split(b"\n")
        messages = [message for line in lines if (message := self._line(line)) is not None]
        if self._bytes + len(self._rest) > MESSAGE_BYTES_MAX:
            raise ValueError(f"an event of more than {MESSAGE_BYTES_MAX} bytes")
        return messages

    def _line(self, line: bytes) -> Message | None:
        if not self._began:
            line, self._began = line.removeprefix(_BOM), True
        if not line:
            return self._end()
        self._bytes += len(line)
        name, _, value = line.decode("utf-8", "replace").partition(":")
        value = value.removeprefix(" ")
        match name:
            case "event":
                self._event = value
            case "data":
                self._data.append(value)
            case "id" if "\0" not in value:
                self._id, self._moved = value, True
        return None

    def _end(self) -> Message | None:
        whole = bool(self._event or self._data or self._moved)
        message = Message(event=self._event, data="\n".join(self._data), id=self._id)
        self._event, self._data, self._moved, self._bytes = "", [], False, 0
        return message if whole else None
