"""The terms by which the index finds rows: one short word per agent, user, thread or tag of a namespace.

A term is a checksum, so that any text is a word of the full-text table and no list of texts is kept.
Two texts may share one: the columns of a row decide, a term only says where to look.
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import Final, Literal
from zlib import crc32

Column = Literal["agent", "user", "thread", "tags"]

TERMS_KEPT_MAX: Final = 1000  # of a column remembered in memory, some 150 KB
NAMESPACES_KEPT_MAX: Final = 64  # of which terms are remembered
SEPARATOR: Final = "\n"  # stands around each tag of a row; no tag holds white space


class Terms(dict[str, str]):
    """Text → its term, of one column of one namespace; each is made when it is first looked up."""

    def __init__(self, namespace: int, column: Column) -> None:
        super().__init__()
        self._where = f"{namespace} {column} "

    def __missing__(self, text: str) -> str:
        if len(self) >= TERMS_KEPT_MAX:
            self.clear()
        self[text] = term = f"{crc32((self._where + text).encode()):x}"
        return term


@lru_cache(NAMESPACES_KEPT_MAX)
def terms_in(namespace: int) -> tuple[Terms, Terms, Terms, Terms]:
    """Return the terms of agents, users, threads and tags of a namespace."""
    return (
        Terms(namespace, "agent"),
        Terms(namespace, "user"),
        Terms(namespace, "thread"),
        Terms(namespace, "tags"),
    )


def term_of(namespace: int, column: Column, text: str) -> str:
    """Return the word for a text in a column of a namespace, and remember nothing."""
    return Terms(namespace, column)[text]


def terms_of(
    namespace: int, names: tuple[str | None, str | None, str | None], tags: Iterable[str]
) -> str:
    """Return the words of one row: of its agent, user and thread, and of its tags."""
    agent, user, thread = names
    of_agents, of_users, of_threads, of_tags = terms_in(namespace)
    terms = list(map(of_tags.__getitem__, tags))
    if agent is not None:
        terms.append(of_agents[agent])
    if user is not None:
        terms.append(of_users[user])
    if thread is not None:
        terms.append(of_threads[thread])
    return " ".join(terms)


def join_tags(tags: Iterable[str]) -> str:
    """Return the tags as a row holds them."""
    joined = SEPARATOR.join(tags)
    return f"{SEPARATOR}{joined}{SEPARATOR}" if joined else SEPARATOR


def split_tags(text: str) -> list[str]:
    """Return the tags of a row; the inverse of `join_tags`."""
    return text.split(SEPARATOR)[1:-1]
