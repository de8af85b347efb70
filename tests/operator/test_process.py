"""The process around the reconcile passes: Lease, back-off, wakes, health, the admin plane."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from kubedouble.double import KubeDouble
from kubedouble.nodes import NodesDouble, Store
from spine_core.planning.reports import Report
from spine_core.scalars import StoreNumber
from spine_core.topology.document import Document, StoreInfo
from spine_operator import clock
from spine_operator.certificates import make_authority, make_leaf
from spine_operator.daemon import pause_after
from spine_operator.lease import DURATION_S, Lease
from spine_operator.liveness import PASS_OVERDUE_S, DaemonLiveness, serve_health
from spine_operator.naming import ClusterKey
from spine_operator.node_admin import NodeAdmin
from spine_operator.ports import KubeError, NodeEndpoint, NodeError
from spine_operator.wake import Wake

NOW_MS = 1_767_225_600_000
KEY = ClusterKey("agents", "spine")
STORE = "00000000-0000-4000-8000-000000000001"


class FakeClock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def lease_of(kube: KubeDouble, identity: str, ticking: FakeClock) -> Lease:
    return Lease(
        kube,
        namespace="ops",
        name="operator",
        identity=identity,
        monotonic_s=ticking,
        now_ms=lambda: NOW_MS + int(ticking() * 1000),
    )


async def test_only_one_operator_holds_the_lease() -> None:
    kube, ticking = KubeDouble(), FakeClock()
    first, second = lease_of(kube, "one", ticking), lease_of(kube, "two", ticking)
    assert await first.renew()
    assert not await second.renew()
    ticking.now_s += DURATION_S - 1
    assert not await second.renew(), "it may still be renewed"
    assert not first.held(), "but nobody may rely on it"
    assert await first.renew()
    ticking.now_s += DURATION_S - 1
    assert not await second.renew(), "it has changed since"
    ticking.now_s += DURATION_S + 1
    assert await second.renew(), "it has not changed for its whole duration"
    assert not await first.renew()


async def test_a_released_lease_is_free_at_once() -> None:
    kube, ticking = KubeDouble(), FakeClock()
    first, second = lease_of(kube, "one", ticking), lease_of(kube, "two", ticking)
    await first.renew()
    await first.release()
    assert not first.held()
    assert await second.renew()


def test_back_off_grows_to_a_minute_and_obeys_the_server() -> None:
    pauses = [pause_after(n, KubeError("no")) for n in range(1, 12)]
    assert 0.5 <= pauses[0] <= 1.0
    assert 30.0 <= pauses[-1] <= 60.0
    assert pause_after(1, KubeError("busy", retry_after_s=7.0)) == 7.0
    longest = pause_after(1, KubeError("busy", retry_after_s=600.0))
    assert longest < PASS_OVERDUE_S, "or the probe takes the pause for a hang"


async def test_a_notification_is_kept_until_somebody_waits() -> None:
    wake = Wake()
    wake.notify(KEY)
    await wake.wait(KEY, 60.0)
    waiting = asyncio.create_task(wake.wait(KEY, 60.0))
    await asyncio.wait([waiting], timeout=0)
    assert not waiting.done()
    wake.notify_all()
    await waiting


async def test_a_daemon_that_hangs_fails_the_probe() -> None:
    ticking = FakeClock()
    liveness = DaemonLiveness(ticking)
    liveness.record_pass(KEY)
    ticking.now_s += PASS_OVERDUE_S
    assert liveness.overdue() == []
    ticking.now_s += 1
    assert liveness.overdue() == [KEY]
    liveness.forget(KEY)
    assert liveness.overdue() == []


@pytest.mark.parametrize(
    ("path", "problem", "status"),
    [("/healthz", None, 200), ("/healthz", "late", 503), ("/other", None, 404)],
)
async def test_health_is_served(path: str, problem: str | None, status: int) -> None:
    async with await serve_health(0, lambda: problem) as server:
        names = [one.getsockname() for one in server.sockets if one.family == socket.AF_INET]
        port = names[0][1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        answer = await reader.read()
        writer.close()
        assert int(answer.split()[1]) == status


class Node:
    """The admin plane of one store, over TLS."""

    def __init__(self) -> None:
        self.nodes = NodesDouble()
        self.store = self.nodes.running["spine-a-0"] = Store(id=STORE, seat="spine-a-0")
        self.endpoint = NodeEndpoint(
            seat="spine-a-0", url="", server_name="", authority=None, token="t"
        )

    async def handle(self, request: web.Request) -> web.Response:
        if request.headers["Authorization"] != "Bearer t":
            return web.json_response({"code": "unauthorized"}, status=401)
        if request.method == "GET":
            return web.json_response(await self.nodes.status(self.endpoint))
        if request.headers["Spine-Store"] != self.store.id:
            return web.json_response({"code": "misdirected"}, status=421)
        body = await request.json()
        if request.path.endswith("/pace"):
            self.store.pace = (body["bytes_per_s"], body["slots"])
            return web.json_response(body)
        document = Document.from_json(body)
        await self.nodes.adopt(self.endpoint, self.store.id, document)
        return web.json_response({"epoch": document.epoch, "digest": document.digest()})


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[tuple[Node, NodeEndpoint]]:
    now_ms = clock.now_ms()
    authority = make_authority("spine", now_ms)
    leaf = make_leaf(authority, ("*.spine-nodes.agents.svc",), now_ms)
    (tmp_path / "tls.crt").write_text(leaf.certificate)
    (tmp_path / "tls.key").write_text(leaf.key)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "tls.crt", tmp_path / "tls.key")
    node, app = Node(), web.Application()
    app.router.add_route("*", "/admin/v1/{call}", node.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    port = runner.addresses[0][1]
    endpoint = NodeEndpoint(
        seat="spine-a-0",
        url=f"https://127.0.0.1:{port}",
        server_name="spine-a-0.spine-nodes.agents.svc",
        authority=authority.certificate,
        token="t",
    )
    yield node, endpoint
    await runner.cleanup()


def document_of(store_id: str) -> Document:
    store = StoreInfo(id=store_id, seat="spine-a-0", zone="a", url="x:8788")
    return Document(
        cluster_id="6c100000-0000-4000-8000-000000000000",
        epoch=1,
        slots=4096,
        virtual_nodes=150,
        factor=1,
        write_quorum=1,
        zone_policy="strict",
        stores={StoreNumber(1): store},
        current={"spine-a-0": StoreNumber(1)},
        next_number=2,
    )


async def test_the_way_to_a_node(node: tuple[Node, NodeEndpoint]) -> None:
    served, endpoint = node
    async with NodeAdmin() as admin:
        assert Report.from_json(await admin.status(endpoint)).status == "unjoined"
        await admin.adopt(endpoint, STORE, document_of(STORE))
        await admin.set_pace(endpoint, STORE, bytes_per_s=7, slots=0)
        assert Report.from_json(await admin.status(endpoint)).epoch == 1
    assert served.store.pace == (7, 0)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"token": "wrong"}, "unauthorized"),
        ({"server_name": "spine-a-0.other.agents.svc"}, None),
        ({"url": "https://127.0.0.1:1"}, None),
        ({"authority": make_authority("other", NOW_MS).certificate}, None),
    ],
)
async def test_a_node_that_is_not_ours_is_unknown(
    node: tuple[Node, NodeEndpoint], change: dict[str, Any], code: str | None
) -> None:
    fields = {name: getattr(node[1], name) for name in NodeEndpoint.__slots__}
    async with NodeAdmin() as admin:
        with pytest.raises(NodeError) as caught:
            await admin.status(NodeEndpoint(**{**fields, **change}))
    assert caught.value.code == code
    assert str(caught.value) != "t"


async def test_another_store_does_not_obey(node: tuple[Node, NodeEndpoint]) -> None:
    other = "00000000-0000-4000-8000-000000000002"
    async with NodeAdmin() as admin:
        with pytest.raises(NodeError) as caught:
            await admin.adopt(node[1], other, document_of(other))
    assert caught.value.code == "misdirected"
    assert node[0].store.document is None
