"""`GET /v1/ns/{ns}/watch`, server-sent events, and `GET …/changes`, the same feed as a JSON long poll."""

import asyncio
from contextlib import ExitStack
from typing import Final, cast, get_args

import msgspec

from spine_core.errors import ProblemError
from spine_core.records.encoding import Record
from spine_core.records.versions import etag_of
from spine_node.http import headers
from spine_node.http.event_buffer import EventBuffer
from spine_node.http.leases import lease_info
from spine_node.http.limits import (
    CHANGES_MAX,
    CHANGES_WAIT_MS_MAX,
    CURSOR_TOKEN_CHARS_MAX,
    PAGE_SIZE,
)
from spine_node.http.lists import filter_of
from spine_node.http.messages import Response, Stream
from spine_node.http.queries import choice, integer, words
from spine_node.http.render import JSON, encode_json, memory_json
from spine_node.http.request_context import RequestContext
from spine_node.ports import EventKind, ListScope, Watch, WatchEvent, WatchRequest, lease_in
from spine_node.server_fields import read_body

EVENTS_AT_ONCE: Final = 100
INCLUDED: Final = ("memory", "embedding")  # a memory with its embedding is a memory
DEFAULT_EVENTS: Final = ("put", "delete")


async def list_changes(context: RequestContext) -> Response:
    """Answer what has changed since a cursor, at once or when something does."""
    query = context.query
    limit = integer(query, "limit", PAGE_SIZE, (1, CHANGES_MAX))
    wait_ms = integer(query, "wait_ms", 0, (0, CHANGES_WAIT_MS_MAX))
    request, view = _request(context), _View(context)
    with context.app.watches.one_more(context.principal):
        watch = await context.app.engine.watch(request)
        try:
            changes = await watch.next(limit, wait_ms / 1000)
        finally:
            await watch.close()
    events = [msgspec.Raw(view.json(event)) for event in changes.events]
    page = {"events": events, "cursor": changes.cursor, "reset": changes.reset}
    return Response(200, {"Content-Type": JSON, "Cache-Control": "no-store"}, encode_json(page))


async def watch_memories(context: RequestContext) -> Response:
    """Stream changes until the client leaves, lags too far behind, or has to go elsewhere."""
    request, view = _request(context), _View(context)
    with ExitStack() as counted:
        counted.enter_context(context.app.watches.one_more(context.principal))
        watch = await context.app.engine.watch(request)
        body = _stream(context, view, watch, counted.pop_all())
    # It begins here, so that whoever closes it, read or not, gives everything back.
    await anext(body)
    shown = {"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
    return Response(200, shown, body)


async def _stream(
    context: RequestContext, view: "_View", watch: Watch, counted: ExitStack
) -> Stream:
    producer = _Producer(context, view, watch)
    producing = asyncio.create_task(producer.run())
    producing.add_done_callback(lambda _: producer.buffer.end())
    try:
        yield b""
        while (piece := await producer.buffer.take()) is not None:
            yield piece or _block(cursor=producer.cursor, comment="keep-alive")
        await producing  # a bug in it must not look like an end
    finally:
        producing.cancel()
        counted.close()
        await (
            watch.close()
        )  # gives everything back before it first waits: we may be cancelled again
        await asyncio.gather(producing, return_exceptions=True)


class _Producer:
    """Brings the events of a watch into the buffer of its client."""

    def __init__(self, context: RequestContext, view: "_View", watch: Watch) -> None:
        self._context, self._view, self._watch = context, view, watch
        self.buffer = EventBuffer(context.app.clock, context.app.watch_times)
        self.cursor = ""  # of all that was put into the buffer

    async def run(self) -> None:
        """Go on until the watch ends, the credential is no longer good, or the client lags."""
        check_s = self._context.app.watch_times.check_s
        ended = False
        while not ended and self._is_welcome():
            try:
                changes = await self._watch.next(EVENTS_AT_ONCE, check_s)
            except ProblemError:  # the client comes back with its cursor and is told
                return
            piece = b"".join(
                _block(cursor=event.cursor, event=event.kind, data=self._view.json(event))
                for event in changes.events
            )
            if changes.reset:
                piece += _block(
                    cursor=changes.cursor,
                    event="reset",
                    data=self._view.note("reset", reason="cursor-expired"),
                )
            if piece and not await self.buffer.put(piece):
                self.buffer.replace(_block(event="lagging", data=self._view.note("lagging")))
                return
            self.cursor, ended = changes.cursor, changes.ended

    def _is_welcome(self) -> bool:
        app = self._context.app
        return app.credentials.accepts(self._context.principal, app.clock.physical_ms())


class _View:
    """Events as this client wants to see them."""

    def __init__(self, context: RequestContext) -> None:
        included = words(context.query, "include", INCLUDED, ())
        self._memory, self._embedding = bool(included), "embedding" in included
        self._namespace, self._clock = context.namespace, context.app.clock

    def json(self, event: WatchEvent) -> bytes:
        """Return the `ChangeEvent` of the API."""
        shown: dict[str, object] = {
            "type": event.kind,
            "namespace": event.namespace,
            "id": event.memory_id,
            "version": etag_of(event.version),
        }
        if event.reason is not None:
            shown["reason"] = event.reason
        if event.record is not None and event.kind == "lease":
            shown["lease"] = self._lease(event.record)
        elif event.record is not None and self._memory:
            shown["memory"] = msgspec.Raw(
                memory_json(
                    event.namespace, event.memory_id, event.record, embedding=self._embedding
                )
            )
        return encode_json(shown)

    def _lease(self, record: Record) -> dict[str, object]:
        lease = lease_in(read_body(record.body)[1])
        held = bool(lease.holder) and lease.expires_ms > self._clock.physical_ms()
        return lease_info(lease, held=held)

    def note(self, kind: str, **more: str) -> bytes:
        """Return an event that is about the watch itself."""
        return encode_json({"type": kind, "namespace": self._namespace, **more})


def _request(context: RequestContext) -> WatchRequest:
    query = context.query
    text = query.get("filter")
    known = headers.last_event_id(context.request.headers)
    for name, cursor in (("since", query.get("since")), (headers.LAST_EVENT_ID, known)):
        if cursor is not None and len(cursor) > CURSOR_TOKEN_CHARS_MAX:
            message = f"a cursor has {CURSOR_TOKEN_CHARS_MAX} characters at most"
            raise ProblemError("invalid-request", message, errors=((name, message),))
    return WatchRequest(
        namespace=context.namespace,
        scope=cast("ListScope", choice(query, "scope", get_args(ListScope), "exact")),
        filter=filter_of(None if text is None else text.encode()),
        events=cast(
            "frozenset[EventKind]", words(query, "events", get_args(EventKind), DEFAULT_EVENTS)
        ),
        since=query.get("since", "now"),
        last_event_id=known,
        deadline=context.deadline,
    )


def _block(
    *, cursor: str | None = None, event: str = "", data: bytes = b"", comment: str = ""
) -> bytes:
    """Return one event, or a comment; either moves the client's Last-Event-ID on if it has a cursor."""
    lines = [b"id: " + cursor.encode()] if cursor else []
    if comment:
        lines.append(b": " + comment.encode())
    if event:
        # JSON has line ends between its values at most: a space means the same there
        flat = data.replace(b"\r", b" ").replace(b"\n", b" ")
        lines += [b"event: " + event.encode(), b"data: " + flat]
    return b"\n".join(lines) + b"\n\n"
