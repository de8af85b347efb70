"""Watch: what changes in a namespace, as one endless stream of events over many connections. No I/O.

Rules
- The cursor of the last event that was handed out is where the next connection begins.
- Events may come again after a break; a version that was handed out for an id is not handed out again. So
  many ids are remembered as a break may repeat, the least recent are forgotten first.
- A prune keeps the version of what it deletes: of one version, the deletion is the newer.
- When a connection broke before the server told any cursor, changes may have been missed: that is a
  `reset`, as when a cursor is too old.

Source: api.md §2.4.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

import msgspec

from memory_spine import arguments
from memory_spine.arguments import Seconds
from memory_spine.core import Call, Core
from memory_spine.effects import Operation, Sleep, Stream
from memory_spine.errors import ConfigError, SpineError, UnexpectedAnswer
from memory_spine.event_stream import EventStream, Message
from memory_spine.models import ChangePage, Event, decode
from memory_spine.paging import Scope
from memory_spine.retry import backoff_s

EventType: TypeAlias = Literal["put", "delete", "lease"]

SILENCE_MAX_S = 40.0  # a node sends something every 15 s
SEEN_MAX = 16_384  # ids; 20 s of 800 changes a second
WAIT_MAX_S = 20.0  # of one long poll: what stands between may cut a longer silence
NO_CURSOR = "no-cursor"
_KINDS = frozenset(
    {*get_args(EventType), "reset", "lagging"}
)  # those of a newer server are skipped


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """What is watched, with its arguments checked."""

    path: str  # of the namespace, without the last part
    since: str  # now, beginning or a cursor
    query: Mapping[str, str]


def watched(
    core: Core,
    *,
    filter: Mapping[str, Any] | None,  # noqa: A002 - the word of the API
    scope: Scope,
    events: Sequence[EventType],
    since: str,
) -> Watched:
    """Check the arguments of a watch.

    Raises:
        TypeError, ConfigError: one is wrong.
    """
    if not (names := arguments.texts(events, "events")):
        raise ConfigError("events names none; watch put, delete or lease")
    for count, name in enumerate(names):
        arguments.one_of(name, f"events[{count}]", get_args(EventType))
    query = {
        "scope": arguments.one_of(scope, "scope", get_args(Scope)),
        "events": ",".join(names),
    }
    if filter is not None and (tests := arguments.fields(filter, "filter")):
        query["filter"] = msgspec.json.encode(tests).decode()
    path = core.namespace_path("")
    return Watched(path=path, since=arguments.identifier(since, "since"), query=query)


def changes(core: Core, what: Watched, *, limit: int, wait: Seconds) -> Operation[ChangePage]:
    """Ask for what changed since a cursor, and wait so long for something to change."""
    query = {**what.query, "limit": str(arguments.whole(limit, "limit"))}
    now_s = core.environment.monotonic_s
    ends_s = now_s() + arguments.milliseconds(wait, "wait") / 1000
    since, asked = what.since, 0
    while True:
        asked += 1
        wait_s = min(max(ends_s - now_s(), 0.0), WAIT_MAX_S)
        wait_ms = str(arguments.milliseconds(wait_s, "wait"))
        call = Call(
            method="GET",
            path=f"{what.path}changes",
            query={**query, "since": since, "wait_ms": wait_ms},
            wait_s=wait_s,
        )
        page = yield from core.fetch(call, ChangePage)
        pause_s = backoff_s(asked, core.environment.uniform)
        if page.events or page.reset or now_s() + pause_s >= ends_s:
            return page
        since = page.cursor
        yield Sleep(pause_s)


class Watch:
    """One watch. Its driver opens a stream, hands over each chunk, and opens the next when it ends."""

    def __init__(self, core: Core, what: Watched) -> None:
        self._core = core
        self._what = what
        self._cursor: str | None = None  # None: the server has told none yet
        self._stream = EventStream()
        self._kind = ""  # of the open stream
        self._opened = False
        self._blind = False  # changes may have been missed
        self._failed = 0  # connections since the last event
        self._seen: OrderedDict[tuple[str, str, str], tuple[str, bool]] = OrderedDict()
        self.lagging = False  # the server gives up this connection: take another

    def open(self) -> Operation[Stream[Any]]:
        """Open the stream; once it was open, again and again while that may help.

        Raises:
            SpineError: the first stream could not be opened, or trying again is pointless.
        """
        while True:
            if self._failed:
                yield Sleep(backoff_s(self._failed, self._core.environment.uniform))
            try:
                stream = yield from self._core.open(self._call())
            except SpineError as failure:
                if not (self._opened and failure.retryable):
                    raise
                self._failed += 1
                continue
            self._opened, self.lagging = True, False
            self._stream = EventStream()
            self._kind = stream.headers.get("content-type", "")
            return stream

    def take(self, chunk: bytes) -> list[Event]:
        """Return the events that end in this chunk and were not handed out before.

        Raises:
            UnexpectedAnswer: this is no stream of events.
        """
        if not self._kind.startswith("text/event-stream"):
            raise self._unexpected(f"with {self._kind or 'nothing'} and not with events")
        events = [Event(type="reset", reason=NO_CURSOR)] if self._blind else []
        self._blind = False
        try:
            for message in self._stream.take(chunk):
                if message.id and message.id.isascii() and message.id.isprintable():
                    self._cursor = message.id
                if message.event in _KINDS:
                    events += self._new(self._event(message))
        except ValueError as cause:
            raise self._unexpected(str(cause)) from cause
        return events

    def broken(self) -> None:
        """The stream has ended, by whatever cause."""
        self._failed += 1
        self._blind = self._cursor is None and self._what.since == "now"

    def _call(self) -> Call:
        headers = {"Accept": "text/event-stream"}
        if self._cursor is not None:
            headers["Last-Event-ID"] = self._cursor
        return Call(
            method="GET",
            path=f"{self._what.path}watch",
            query={**self._what.query, "since": self._what.since, "include": "memory"},
            headers=headers,
            silence_s=SILENCE_MAX_S,
        )

    def _event(self, message: Message) -> Event:
        told = decode(message.data.encode(), Event) if message.data else Event()
        return msgspec.structs.replace(told, type=message.event, cursor=self._cursor)

    def _new(self, event: Event) -> list[Event]:
        """Return the event, nothing when this or a newer version of its id was handed out."""
        self._failed = 0
        self.lagging = self.lagging or event.type == "lagging"
        if event.version is None:
            return [event]
        kind = "lease" if event.type == "lease" else "memory"
        about = (event.namespace, kind, event.id or "")
        version = (event.version, event.type == "delete")
        if about in self._seen and self._seen[about] >= version:
            return []
        self._seen[about] = version
        self._seen.move_to_end(about)
        if len(self._seen) > SEEN_MAX:
            self._seen.popitem(last=False)
        return [event]

    def _unexpected(self, reason: str) -> UnexpectedAnswer:
        failure = UnexpectedAnswer(f"{self._what.path}watch", 200, reason)
        failure.may_have_been_applied = False
        return failure
