"""The value that everybody stores: one memory of 1.1 KB as JSON, with its own id inside.

The id stands in the content, so a copy that belongs to another id does not pass for this one.
"""

import json

NAMESPACE = "bench"
ID_CHARS = 20
VALUE_BYTES = 1100
_SENTENCE = "The customer prefers metric units, short answers and delivery on weekday mornings. "
_MARK = "@" * ID_CHARS


def memory_id(prefix: str, number: int) -> str:
    """Return an id of `ID_CHARS` characters: everything that surrounds it has one length."""
    return f"{prefix}-{number:0{ID_CHARS - 1 - len(prefix)}d}"


def _template() -> str:
    fields = {
        "content": _MARK,
        "tags": ["customer", "preference", "units", "delivery", "style"],
        "agent_id": "agent-7",
        "thread_id": "thread-42",
        "metadata": {"source": "chat", "turn": 17, "language": "en"},
    }
    missing = VALUE_BYTES - len(json.dumps(fields)) - 1
    fields["content"] = f"{_MARK} {(_SENTENCE * 20)[:missing]}"
    text = json.dumps(fields)
    assert len(text) == VALUE_BYTES
    return text


TEMPLATE = _template()
BEFORE_ID, AFTER_ID = TEMPLATE.split(_MARK)


def memory_json(identity: str) -> str:
    """Return the value that is stored at an id."""
    return f"{BEFORE_ID}{identity}{AFTER_ID}"
