"""What the agents remember: real conversations, or made-up ones where the package is absent."""

import importlib.util
import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

DATASET = "chitchat_dataset"


@dataclass(frozen=True, slots=True)
class Message:
    """One message: its sender is an agent, its conversation a thread."""

    conversation: str
    sender: str
    text: str


@dataclass(frozen=True, slots=True)
class Source:
    """The messages in the order they were said, and how many blank ones were left out."""

    messages: tuple[Message, ...]
    blank: int


def real_messages() -> Source:
    """Read the PyPI package `chitchat-dataset`: 258,145 messages of 7,168 conversations.

    Raises:
        ModuleNotFoundError: it is not installed.
    """
    found = importlib.util.find_spec(DATASET)
    if found is None or found.origin is None:
        raise ModuleNotFoundError(f"{DATASET} is missing: pip install chitchat-dataset")
    conversations = json.loads(Path(found.origin).with_name("dataset.json").read_text())
    everything = list(_spoken(conversations))
    kept = tuple(message for message in everything if message.text.strip())
    return Source(kept, len(everything) - len(kept))


def made_up_messages(count: int) -> Source:
    """Return `count` different messages of ten conversations."""
    messages = (
        Message(f"conversation-{n % 10}", f"agent-{n % 7}", f"message {n}") for n in range(count)
    )
    return Source(tuple(islice(messages, count)), 0)


def _spoken(conversations: dict[str, Any]) -> Iterator[Message]:
    for conversation, body in conversations.items():
        for turn in body["messages"]:
            for said in turn:
                yield Message(conversation, said["sender"], said["text"])
