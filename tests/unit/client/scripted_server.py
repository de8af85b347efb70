"""A scripted server for the client core: answers from a list, and a clock that only sleeps move."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field

from memory_spine.config import Options
from memory_spine.core import Core
from memory_spine.effects import (
    Answer,
    AsyncParts,
    Done,
    Open,
    Operation,
    Outcome,
    Parts,
    Request,
    Result,
    Sleep,
    Stream,
    resume,
)
from memory_spine.environment import Environment
from memory_spine.errors import ConnectionFailed
from memory_spine.retry import Endpoints

MEMORY = {
    "id": "t-1",
    "namespace": "acme",
    "content": "hello",
    "metadata": {"n": 1},
    "tags": ["task"],
    "importance": 0.5,
    "pinned": False,
    "version": "0192f0c0a0b00000-00000001",
    "created_at": "2026-11-22T10:00:00.000Z",
    "updated_at": "2026-11-22T10:00:01.250Z",
}


def ok(body: object = MEMORY, *, status: int = 200, **headers: str) -> Answer:
    """An answer with a JSON body; `spine_session="x"` becomes the header `spine-session`."""
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status=status, headers=names, body=json.dumps(body).encode())


def problem(code: str, status: int, **more: object) -> Answer:
    body = {"code": code, "status": status, "title": code, "request_id": "r-1", **more}
    headers = {"content-type": "application/problem+json"}
    return Answer(status=status, headers=headers, body=json.dumps(body).encode())


def lost(*, sent: bool = True) -> ConnectionFailed:
    return ConnectionFailed("http://a", "connection reset", sent=sent)


Reply = Answer | ConnectionFailed | Callable[[Request], Answer | ConnectionFailed]


@dataclass
class ScriptedServer:
    """Plays a list of replies to whatever a client sends."""

    replies: list[Reply] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    sleeps: list[float] = field(default_factory=list)
    now_s: float = 1000.0
    drawn: int = 0
    closed: int = 0

    def core(self, *urls: str, **options: object) -> Core:
        return Core(
            options=Options(**{"namespace": "acme", **options}),  # type: ignore[arg-type]
            endpoints=Endpoints(urls or ("http://a",)),
            environment=Environment(
                monotonic_s=lambda: self.now_s,
                unix_ms=lambda: 1_760_000_000_000,
                uniform=lambda _, high: high,
                entropy=self._entropy,
                process=lambda: "host-1",
            ),
        )

    def send(self, request: Request) -> Answer:
        """The synchronous transport."""
        self.requests.append(request)
        reply = self.replies.pop(0)
        result = reply(request) if callable(reply) else reply
        if isinstance(result, ConnectionFailed):
            raise result
        return result

    def open(self, request: Request) -> Answer | Stream[Parts]:
        """Answer a success in the parts of its body's lines."""
        answer = self.send(request)
        if answer.status >= 300:
            return answer
        return Stream(status=answer.status, headers=answer.headers, chunks=_lines(answer.body))

    def close(self) -> None:
        self.closed += 1

    def run(self, operation: Operation[Result]) -> Result:
        """The synchronous driver, with sleeps that move this server's clock only."""
        outcome: Outcome | ConnectionFailed | None = None
        while not isinstance(effect := resume(operation, outcome), Done):
            outcome = None
            if isinstance(effect, Sleep):
                self.sleeps.append(effect.seconds)
                self.now_s += effect.seconds
                continue
            try:
                outcome = (
                    self.open(effect.request) if isinstance(effect, Open) else self.send(effect)
                )
            except ConnectionFailed as failure:
                outcome = failure
        return effect.value

    @property
    def hosts(self) -> list[str]:
        return [request.url.split("/")[2] for request in self.requests]

    def _entropy(self, count: int) -> bytes:
        self.drawn += 1
        return self.drawn.to_bytes(count)


class AsyncScriptedServer:
    """The same server for `AsyncSpine`."""

    def __init__(self, server: ScriptedServer) -> None:
        self.server = server

    async def send(self, request: Request) -> Answer:
        return self.server.send(request)

    async def open(self, request: Request) -> Answer | Stream[AsyncParts]:
        opened = self.server.open(request)
        if isinstance(opened, Answer):
            return opened
        return Stream(status=opened.status, headers=opened.headers, chunks=_awaited(opened.chunks))

    async def close(self) -> None:
        self.server.close()


def _lines(body: bytes) -> Parts:
    yield from body.splitlines(keepends=True)


async def _awaited(chunks: Parts) -> AsyncParts:
    for chunk in chunks:
        yield chunk
