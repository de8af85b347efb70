"""A method that nodes call on each other: its name, and the layouts of its request and its answer.

Caller and server share one `Method`, so neither can read a body otherwise than the other wrote it.
Layouts are structs that travel as arrays: a field may be added at the end with a default, and an
older node ignores it.
"""

from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

import msgspec

from spine_core.replication.replica_status import ReplicaStatus
from spine_node.links.frames import EMPTY, Body, CallHeader, encoder

RequestT = TypeVar("RequestT")
ReplyT = TypeVar("ReplyT")

CallResult = tuple[str, Body]  # a `ReplicaStatus`, and the body that goes with it
Handler = Callable[[CallHeader, Body], CallResult | Awaitable[CallResult]]


class RefusedCallError(Exception):
    """A server does not execute a call; the caller is told `status`, and `body` with it."""

    def __init__(self, status: ReplicaStatus, body: Body = EMPTY) -> None:
        self.status, self.body = status, body
        super().__init__(str(status))


class Method(Generic[RequestT, ReplyT]):
    """One method. The answer of a call that is executed has the status `ok` and a `reply`."""

    def __init__(self, name: str, *, request: type[RequestT], reply: type[ReplyT]) -> None:
        self.name = name
        self._request = msgspec.msgpack.Decoder(request)
        self._reply = msgspec.msgpack.Decoder(reply)

    def pack(self, request: RequestT) -> Body:
        """Encode a request once, for as many peers as it goes to."""
        return msgspec.Raw(encoder.encode(request))

    def request_in(self, body: Body) -> RequestT:
        """Decode a request.

        Raises:
            msgspec.DecodeError: it is laid out otherwise.
        """
        return self._request.decode(body)

    def pack_reply(self, reply: ReplyT) -> Body:
        """Encode an answer."""
        return msgspec.Raw(encoder.encode(reply))

    def reply_in(self, body: Body) -> ReplyT:
        """Decode the body of an `ok`.

        Raises:
            msgspec.DecodeError: it is laid out otherwise.
        """
        return self._reply.decode(body)

    def served_at_once(
        self, serve: Callable[[RequestT, CallHeader], ReplyT]
    ) -> tuple[str, Handler]:
        """Return name and handler; the answer needs no waiting."""

        def handle(header: CallHeader, body: Body) -> CallResult:
            return ReplicaStatus.OK, self.pack_reply(serve(self.request_in(body), header))

        return self.name, handle

    def served(
        self, serve: Callable[[RequestT, CallHeader], Awaitable[ReplyT]]
    ) -> tuple[str, Handler]:
        """Return name and handler; the answer has to be waited for."""

        async def handle(header: CallHeader, body: Body) -> CallResult:
            return ReplicaStatus.OK, self.pack_reply(await serve(self.request_in(body), header))

        return self.name, handle
