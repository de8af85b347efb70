"""Sessions: the tokens that let any node serve what this client wrote and saw. Threads share them.

A token is opaque. The server merges the tokens of a request into the one of its answer, so an answer
replaces *the tokens its request carried* and nothing else: what a parallel request has learned
meanwhile stays. Up to `TOKENS_MAX` tokens travel in one header. A call that ends with more lets the
server merge them, so that `token` stays short whatever ran in parallel; a call that begins with more
waits for that. Of answers that came together, all are learned before one of their calls goes on: then
one merge does for all, and what they ask next travels together again. Tasks that have nothing to do
with each other still do better with a `session()` block each.

Source: api.md §3.1 (`Spine-Session`), protocol.md §8.
"""

from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType

from memory_spine import arguments
from memory_spine.forks import Lock, renew_after_fork

TOKENS_MAX = 4  # of one request; a node takes 16, and opens each of them for each request
MERGE_MAX = 16  # of one session:merge

_blocks: ContextVar[Mapping["Session", "Session"]] = ContextVar(
    "memory_spine_session_blocks", default=MappingProxyType({})
)


class Session:
    """What one line of work has written and seen; empty at first, or as handed over in `token`.

    A copy, and a process that is forked, begin with what this one knows and go their own way.
    """

    def __init__(self, token: str | None = None) -> None:
        self._lock = Lock()
        self._tokens: tuple[str, ...] = ()  # oldest first
        self._merging: frozenset[str] = frozenset()
        self.merged: Future[None] = Future()  # done when the next merge has ended
        renew_after_fork(self)
        if token:
            self.add(token)

    def __reduce__(self) -> tuple[type["Session"], tuple[str | None]]:
        return Session, (self.active().token,)

    def after_fork(self) -> None:
        """Forget what threads of the parent were merging."""
        self._merging, self.merged = frozenset(), Future()

    @property
    def tokens(self) -> tuple[str, ...]:
        """The tokens that together are this session."""
        return self._tokens

    @property
    def token(self) -> str | None:
        """One text to hand over, tokens joined by commas; None while nothing happened."""
        return ",".join(self._tokens) or None

    @property
    def merging(self) -> bool:
        """Whether tokens are being merged, and `merged` will be done."""
        return bool(self._merging)

    def add(self, *tokens: str) -> None:
        """From now on, also promise what these tokens promise."""
        checked = [arguments.text(token, "session") for token in tokens]
        given = [part.strip() for token in checked for part in token.split(",")]
        with self._lock:
            self._tokens = tuple(dict.fromkeys([*self._tokens, *filter(None, given)]))

    def learn(self, sent: tuple[str, ...], token: str) -> None:
        """Take the token of an answer, which covers the tokens that its request sent."""
        if self._tokens == (token,):  # a read that saw nothing new
            return
        with self._lock:
            kept = [held for held in self._tokens if held not in sent and held != token]
            self._tokens = (*kept, token)

    def claim_merge(self) -> tuple[str, ...]:
        """Return tokens to merge that nobody else merges; who gets none waits until `merged`.

        Beside a merge that is under way only a full one begins: more small ones would do less.
        """
        if len(self._tokens) < len(self._merging) + (MERGE_MAX if self._merging else 2):
            return ()  # as most callers find it
        with self._lock:
            free = [token for token in self._tokens if token not in self._merging]
            if len(free) < (MERGE_MAX if self._merging else 2):
                return ()
            claimed = tuple(free[:MERGE_MAX])
            self._merging = self._merging.union(claimed)
        return claimed

    def end_merge(self, claimed: tuple[str, ...]) -> None:
        """Give the claim back, merged or not, and wake who waits."""
        with self._lock:
            self._merging = self._merging.difference(claimed)
            ended, self.merged = self.merged, Future()
        ended.set_result(None)

    def active(self) -> "Session":
        """The session of the innermost block around the caller, else this one."""
        return _blocks.get().get(self, self)

    @contextmanager
    def block(self, token: str | None) -> Iterator["Session"]:
        """Put a session of its own in place of this one, for this thread or task only."""
        session = Session(token)
        previous = _blocks.set({**_blocks.get(), self: session})
        try:
            yield session
        finally:
            _blocks.reset(previous)
