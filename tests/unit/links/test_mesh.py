"""All links of a node: those of the document in force, and no other; `ask` ends in time."""

import asyncio
from collections.abc import AsyncIterator
from types import NoneType
from typing import Any

import pytest

from spine_core.replication.replica_status import ReplicaStatus
from spine_core.scalars import StoreNumber
from spine_core.topology.document import StoreInfo
from spine_node.clock import Clock
from spine_node.links.frames import EMPTY
from spine_node.links.mesh import CallError, Mesh, MeshSettings
from spine_node.links.methods import CallResult, Method
from unit.links.harness import TOKEN, End, Serving, identity, serving, until

OWN = "client"
ECHO = Method("echo", request=list[Any], reply=tuple[int, bytes])
HOLD = Method("hold", request=NoneType, reply=bytes)
STALE = Method("stale", request=NoneType, reply=bytes)


@pytest.fixture
async def mesh() -> AsyncIterator[Mesh]:
    end = End()
    settings = MeshSettings(
        me=identity(OWN), token=lambda: TOKEN, tls=lambda: None, hlc=end.now, observe=end.observe
    )
    made = Mesh(settings, Clock())
    yield made
    await made.close()


def info(server: Serving, store_id: str = "server") -> StoreInfo:
    return StoreInfo(id=store_id, seat="a0", zone="a", url=f"127.0.0.1:{server.port}")


async def test_a_store_of_the_document_can_be_asked_and_ours_is_not_dialled(mesh: Mesh) -> None:
    async with serving() as server:
        mesh.follow({StoreNumber(1): info(server, OWN), StoreNumber(2): info(server)}, OWN)
        await until(lambda: mesh.up() == {2})
        assert await mesh.ask(StoreNumber(2), ECHO, 3, [1, b"x"], 5.0) == (1, b"x")


async def test_a_store_that_the_document_no_longer_names_is_unreachable(mesh: Mesh) -> None:
    async with serving() as server:
        mesh.follow({StoreNumber(2): info(server)}, OWN)
        await until(lambda: mesh.up() == {2})
        mesh.follow({}, OWN)
        with pytest.raises(CallError) as failed:
            await mesh.ask(StoreNumber(2), ECHO, 3, [], 5.0)
        assert failed.value.status == ReplicaStatus.UNREACHABLE
        assert mesh.up() == frozenset()


async def test_a_new_document_leaves_the_links_that_it_does_not_change_open(mesh: Mesh) -> None:
    async with serving() as server, serving(identity("third")) as third:
        mesh.follow({StoreNumber(2): info(server)}, OWN)
        await until(lambda: mesh.up() == {2})
        mesh.follow({StoreNumber(2): info(server), StoreNumber(3): info(third, "third")}, OWN)
        assert mesh.up() == {2}
        await until(lambda: mesh.up() == {2, 3})


async def test_a_seat_that_another_store_has_taken_over_is_refused_by_name(
    mesh: Mesh, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "spine.links")
    async with serving() as server:
        mesh.follow({StoreNumber(2): info(server, "lost-disk")}, OWN)
        await until(lambda: "holds store server, not lost-disk" in whys(caplog))
        assert mesh.up() == frozenset()


@pytest.mark.parametrize("left_s", [0.02, 0.0, -1.0])
async def test_asking_a_peer_that_hangs_ends_with_lost_in_time(mesh: Mesh, left_s: float) -> None:
    held: asyncio.Future[CallResult] = asyncio.get_running_loop().create_future()
    async with serving(hold=lambda _header, _body: held) as server:
        mesh.follow({StoreNumber(2): info(server)}, OWN)
        await until(lambda: mesh.up() == {2})
        with pytest.raises(CallError) as failed:
            await mesh.ask(StoreNumber(2), HOLD, 3, None, left_s)
        assert failed.value.status == ReplicaStatus.LOST


async def test_a_refusal_comes_with_its_body(mesh: Mesh) -> None:
    async with serving(stale=lambda _header, body: (ReplicaStatus.STALE_EPOCH, body)) as server:
        mesh.follow({StoreNumber(2): info(server)}, OWN)
        await until(lambda: mesh.up() == {2})
        with pytest.raises(CallError) as failed:
            await mesh.ask(StoreNumber(2), STALE, 3, None, 5.0)
        assert (failed.value.store, failed.value.status) == (2, ReplicaStatus.STALE_EPOCH)
        assert failed.value.body == EMPTY


async def test_an_ok_that_is_laid_out_otherwise_is_an_error(mesh: Mesh) -> None:
    async with serving() as server:
        mesh.follow({StoreNumber(2): info(server)}, OWN)
        await until(lambda: mesh.up() == {2})
        with pytest.raises(CallError) as failed:
            await mesh.ask(StoreNumber(2), ECHO, 3, ["neither", "a", "pair"], 5.0)
        assert failed.value.status == ReplicaStatus.ERROR


def whys(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the reasons that were logged for links that are down."""
    return [getattr(entry, "why", "") for entry in caplog.records]
