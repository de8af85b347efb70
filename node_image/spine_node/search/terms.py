"""The terms by which the index finds rows: one short word per agent, user, thread or tag of a namespace.

A term is a checksum, so that any text is a word of the full-text table and no list of texts is kept.
Two texts may share one: the columns of a row decide, a term only says where to look.
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import Final, Literal
from zlib import crc32

Column = Literal["agent", "user", "thread", "tags"]

TERMS_KEPT_MAX: Final = 20_000  # remembered in memory, some 5 MB
SEPARATOR: Final = "\n"  # stands around each tag of a row; no tag holds white space


@lru_cache(TERMS_KEPT_MAX)
def term_of(namespace: int, column: Column, text: str) -> str:
    """Return the word for a text in a column of a namespace."""
    return f"{crc32(f'{namespace} {column} {text}'.encode()):x}"


def terms_of(
    namespace: int, names: tuple[str | None, str | None, str | None], tags: Iterable[str]
) -> str:
    """Return the words of one row: of its agent, user and thread, and of its tags."""
    agent, user, thread = names
    terms = [term_of(namespace, "tags", text) for text in tags]
    if agent is not None:
        terms.append(term_of(namespace, "agent", agent))
    if user is not None:
        terms.append(term_of(namespace, "user", user))
    if thread is not None:
        terms.append(term_of(namespace, "thread", thread))
    return " ".join(terms)


def join_tags(tags: Iterable[str]) -> str:
    """Return the tags as a row holds them."""
    joined = SEPARATOR.join(tags)
    return f"{SEPARATOR}{joined}{SEPARATOR}" if joined else SEPARATOR


def split_tags(text: str) -> list[str]:
    """Return the tags of a row; the inverse of `join_tags`."""
    return text.split(SEPARATOR)[1:-1]
