"""Nodes of a static cluster behind a transport: they adopt documents and pull at once."""

import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from memory_spine.effects import Answer, Parts, Request, Stream
from memory_spine.errors import ConnectionFailed
from spine_core.planning.reports import slots_to_hex
from spine_core.scalars import StoreNumber
from spine_core.topology.document import Document
from spine_core.topology.placement import Placement
from spine_node.cluster_secret import admin_token

SECRET = b"ab" * 32
TOKEN = admin_token(SECRET)


def store_id_of(seat: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, seat))


@dataclass
class FakeNode:
    """One node: what it has adopted, and what it says of itself."""

    seat: str
    document: Document | None = None
    up: bool = True
    lies: bool = False  # about the document it has adopted
    adopted: list[int] = field(default_factory=list)

    def report(self, others: list["FakeNode"]) -> dict[str, Any]:
        document = self.document
        number = self._number(document)
        peers = [n for other in others if other is not self and (n := other._number(document))]
        return {
            "seat": self.seat,
            "store": {"id": store_id_of(self.seat), "number": number},
            "cluster_id": document.cluster_id if document else None,
            "epoch": document.epoch if document else None,
            "digest": document.digest() if document else None,
            "status": "ok" if number else "retired" if document else "unjoined",
            "version": "1.0.0",
            "boot": 1,
            "up_s": 900.0,
            "clean": False,
            "change": self._change(document, number),
            "pulls": {str(peer): 1.0 for peer in peers},
            "peers": {str(peer): {"state": "up", "boot": 1, "silent_s": 0.1} for peer in peers},
            "disk": {"used": 1000, "quota": 10**9},
            "pace": {"bytes_per_s": 1000, "slots": 4},
        }

    def _number(self, document: Document | None) -> StoreNumber | None:
        stores = document.stores.items() if document else ()
        mine = store_id_of(self.seat)
        return next((number for number, store in stores if store.id == mine), None)

    def _change(
        self, document: Document | None, number: StoreNumber | None
    ) -> dict[str, Any] | None:
        if document is None or document.change is None or number is None:
            return None
        gained = Placement(document).gained().get(StoreNumber(number), frozenset())
        return {
            "id": document.change.id,
            "pulled": slots_to_hex(gained, document.slots),
            "gained": len(gained),
            "bytes_done": 0,
            "bytes_total": 0,
            "idle_s": 0.0,
        }


@dataclass
class FakeNodes:
    """The transport: `host:port` → node. `before` sees every request and may raise."""

    nodes: dict[str, FakeNode]
    before: Callable[[Request], None] = lambda _: None
    published: list[bytes] = field(default_factory=list)  # bodies of every PUT, in order

    def send(self, request: Request) -> Answer:
        self.before(request)
        _, _, address, _, _, call = request.url.split("/", 5)
        node = self.nodes[address]
        if not node.up:
            raise ConnectionFailed(request.url, "connection refused", sent=False)
        assert request.headers["Authorization"] == f"Bearer {TOKEN}"
        if call == "status":
            return _ok(node.report(list(self.nodes.values())))
        assert request.headers["Spine-Store"] == store_id_of(node.seat)
        if request.method == "GET":
            assert node.document is not None
            return _ok(node.document.to_json())
        return self._adopt(node, request.body or b"")

    def open(self, request: Request) -> Answer | Stream[Parts]:
        raise AssertionError(f"the admin plane has no streams, also not {request.url}")

    def close(self) -> None:
        self.nodes.clear()

    def _adopt(self, node: FakeNode, body: bytes) -> Answer:
        self.published.append(body)
        document = Document.from_json(json.loads(body))
        if node.document is None or node.document.epoch < document.epoch:
            node.document = document
            node.adopted.append(document.epoch)
        digest = "0" * 64 if node.lies else node.document.digest()
        return _ok({"epoch": node.document.epoch, "digest": digest})


def _ok(body: object) -> Answer:
    return Answer(status=200, body=json.dumps(body).encode())
