"""What the page of the client shows of conditions, leases and watch runs as it stands there."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from memory_spine import Spine
from memory_spine.effects import Answer, Request
from readme.blocks import CLIENT
from unit.client.scripted_server import MEMORY, ScriptedServer, ok

BLOCKS = CLIENT.code("py")
GRANT = {
    "key": "deploy.prod",
    "holder": "a-1",
    "fence": 42,
    "ttl_ms": 30_000,
    "expires_at": "2026-11-22T10:00:30Z",
}
INFO = {"key": "deploy.prod", "held": True, "fence": 42, "holder": "a-1"}
EVENT = {"type": "put", "namespace": "demo", "id": "t-1", "version": "v1"}
SSE = Answer(
    status=200,
    headers={"content-type": "text/event-stream"},
    body=f"event: put\ndata: {json.dumps(EVENT)}\n\n".encode(),
)


def _memory(request: Request) -> Answer:
    return ok({**MEMORY, "id": request.url.rpartition("/")[2]})


def _touched(request: Request) -> Answer:
    count = len(json.loads(request.body or b"")["ids"])
    return ok({"results": [{"status": 200}] * count, "failed": 0})


ROUTES: list[tuple[str, Callable[[Request], Answer]]] = [  # part of a URL, what it answers
    (":touch", _touched),
    ("/memories/", _memory),
    (":acquire", lambda _: ok(GRANT)),
    (":release", lambda _: Answer(status=204)),
    ("/leases/", lambda _: ok(INFO)),
    ("/leases", lambda _: ok({"items": [INFO]})),
    ("/watch", lambda _: SSE),
    ("/changes", lambda _: ok({"events": [EVENT], "cursor": "c1", "reset": False})),
]


def _serve(request: Request) -> Answer:
    return next(answer(request) for part, answer in ROUTES if part in request.url)


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.splitlines()[0])
def test_a_block_of_the_page_runs(block: str, capsys: pytest.CaptureFixture[str]) -> None:
    server = ScriptedServer([_serve] * 20)
    names: dict[str, Any] = {"spine": Spine("http://a", namespace="demo", transport=server)}
    exec(block, names)
    capsys.readouterr()
    assert server.requests


def test_the_page_shows_each_of_them() -> None:
    assert len(BLOCKS) == 3
