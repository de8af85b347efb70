"""Two ends of a link over real sockets: who gets in, what a missing answer is called, what comes back."""

import asyncio
from typing import Any

import aiohttp
import msgspec
import pytest
from aiohttp import web

from spine_core.errors import ProblemError
from spine_core.replication.replica_status import ReplicaStatus
from spine_core.scalars import HLC_ZERO, Hlc
from spine_node.clock import Clock
from spine_node.links.frames import (
    EMPTY,
    Body,
    CallHeader,
    Outbox,
    call_messages,
)
from spine_node.links.hello import LinkIdentity
from spine_node.links.methods import CallResult, Method, RefusedCallError
from spine_node.links.peer import PENDING_MAX, WAITING_BYTES_MAX
from spine_node.links.server import LinkServer
from unit.links.harness import (
    DRIFT,
    TOKEN,
    Dialling,
    dialling,
    identity,
    pack,
    serving,
    unpack,
    until,
)


async def test_calls_of_one_turn_leave_in_one_frame_and_are_answered_each() -> None:
    async with serving() as server, dialling(server.port) as peer:
        await peer.up()
        answers = await asyncio.gather(*(peer.ask("echo", number) for number in range(100)))
        frames = {id(header) for header, _ in server.requests}
    assert answers == [(ReplicaStatus.OK, number) for number in range(100)]
    assert len(frames) == 1


async def test_more_bytes_than_a_message_may_hold_pass_both_ways() -> None:
    body = bytes(1024 * 1024)
    async with serving() as server, dialling(server.port) as peer:
        await peer.up()
        answers = await asyncio.gather(*(peer.ask("echo", body) for _ in range(24)))
    assert answers == [(ReplicaStatus.OK, body)] * 24


async def test_a_call_without_a_link_is_unreachable() -> None:
    async with serving() as server, dialling(server.port) as peer:
        assert await peer.ask("echo", 1) == (ReplicaStatus.UNREACHABLE, None)
        await peer.up()
        assert server.requests == []


async def test_a_call_that_was_sent_is_lost_when_the_link_breaks() -> None:
    held: asyncio.Future[CallResult] = asyncio.get_running_loop().create_future()
    async with serving(hold=lambda _header, _body: held) as server, dialling(server.port) as peer:
        await peer.up()
        asked = asyncio.create_task(peer.ask("hold", 1))
        await until(lambda: len(server.requests) == 1)
        await server.links.close()
        assert await asked == (ReplicaStatus.LOST, None)
    assert held.cancelled()


async def test_a_call_that_never_left_is_unreachable_when_the_link_breaks() -> None:
    async with serving() as server, dialling(server.port) as peer:
        await peer.up()
        answers: list[ReplicaStatus] = []
        peer.call("echo", 1, lambda status, _: answers.append(status))
        peer.link._end()  # before the loop had a turn to send
        assert answers == [ReplicaStatus.UNREACHABLE]
        assert server.requests == []


async def test_a_link_comes_back_after_its_peer_does() -> None:
    async with serving() as server, dialling(server.port) as peer:
        await peer.up()
        await server.stop()
        await until(lambda: not peer.link.up)
        await server.start()
        await peer.up()
        assert await peer.ask("echo", 5) == (ReplicaStatus.OK, 5)


async def test_a_credential_of_another_cluster_is_turned_away_with_401() -> None:
    async with serving() as server, dialling(server.port, token="ab" * 32) as peer:
        await until(lambda: peer.link.refusal is not None)
        assert "401" in (peer.link.refusal or "")
        assert not peer.link.up


async def test_the_credential_before_the_rotation_is_still_good() -> None:
    async with serving() as server, dialling(server.port, token="ee" * 32) as peer:
        await peer.up()


async def test_a_credential_beyond_ascii_is_a_401_like_any_other() -> None:
    async with serving() as server, aiohttp.ClientSession() as http:
        url = f"http://127.0.0.1:{server.port}/node/v1/link"
        async with http.get(url, headers={"Authorization": "Bearer schlüssel"}) as answer:
            assert answer.status == 401


@pytest.mark.parametrize(
    ("server", "why"),
    [
        (identity("other"), "holds store other, not server"),
        (identity("server", "22222222-2222-4222-8222-222222222222"), "belongs to cluster"),
    ],
)
async def test_an_address_that_is_used_again_by_another_store_is_not_talked_to(
    server: LinkIdentity, why: str
) -> None:
    async with serving(server) as served, dialling(served.port) as peer:
        await until(lambda: peer.link.refusal is not None)
        assert why in (peer.link.refusal or "")
        assert await peer.ask("echo", 1) == (ReplicaStatus.UNREACHABLE, None)
        assert served.requests == []


class ImpatientClock(Clock):
    """A clock that notes how long it was asked to sleep, and does not."""

    def __init__(self) -> None:
        self.waits: list[float] = []

    def jittered(self, seconds: float) -> float:
        return seconds

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        await super().sleep(0)


async def test_a_peer_that_refuses_us_is_dialled_less_and_less_and_named_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", "spine.links")
    clock = ImpatientClock()
    async with serving(identity("other")) as served, dialling(served.port, clock=clock):
        await until(lambda: len(clock.waits) >= 5)
    assert clock.waits[:5] == [0.25, 0.5, 1.0, 2.0, 2.0]
    assert caplog.text.count("link_down") == 1


@pytest.mark.parametrize("host", ["", "no..name", "x" * 64 + ".a", "[::1", "127.0.0.1:99999"])
async def test_an_address_that_nobody_can_have_is_named_and_tried_again(host: str) -> None:
    async with dialling(1, url=f"http://{host}") as peer:
        await until(lambda: peer.link.refusal is not None)
        peer.link.refusal = None
        await until(lambda: peer.link.refusal is not None)


async def test_a_node_that_waits_for_its_first_document_is_talked_to() -> None:
    async with serving(identity("server", None)) as served, dialling(served.port) as peer:
        await peer.up()
        assert await peer.ask("echo", 1) == (ReplicaStatus.OK, 1)


async def test_a_peer_that_hangs_fills_no_memory_without_end() -> None:
    held: asyncio.Future[CallResult] = asyncio.get_running_loop().create_future()
    answers: list[ReplicaStatus] = []

    def note(status: ReplicaStatus, _: object) -> None:
        answers.append(status)

    async with serving(hold=lambda _header, _body: held) as server, dialling(server.port) as peer:
        await peer.up()
        for _ in range(PENDING_MAX + 3):
            peer.call("hold", None, note)
        assert answers == [ReplicaStatus.BUSY] * 3


async def test_a_peer_that_takes_nothing_off_us_gets_no_more_than_so_many_bytes() -> None:
    answers: list[ReplicaStatus] = []
    body = bytes(WAITING_BYTES_MAX // 4)

    def note(status: ReplicaStatus, _: object) -> None:
        answers.append(status)

    async with serving() as server, dialling(server.port) as peer:
        await peer.up()
        for _ in range(6):
            peer.call("echo", body, note)
        assert answers == [ReplicaStatus.BUSY] * 2


async def test_one_slow_call_holds_up_no_other() -> None:
    held: asyncio.Future[CallResult] = asyncio.get_running_loop().create_future()
    async with serving(hold=lambda _header, _body: held) as server, dialling(server.port) as peer:
        await peer.up()
        slow = asyncio.create_task(peer.ask("hold", 1))
        assert await peer.ask("echo", 2) == (ReplicaStatus.OK, 2)
        held.set_result((ReplicaStatus.OK, EMPTY))
        assert await slow == (ReplicaStatus.OK, None)


async def test_a_handler_that_fails_answers_and_the_link_lives_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken(_header: CallHeader, _body: Body) -> CallResult:
        raise KeyError("bug")

    async def refusing(_header: CallHeader, _body: Body) -> CallResult:
        raise ProblemError("epoch-conflict", "another document")

    async with serving(broken=broken, refusing=refusing) as server, dialling(server.port) as peer:
        await peer.up()
        assert await peer.ask("broken", 1) == (ReplicaStatus.ERROR, None)
        assert await peer.ask("refusing", 1) == (ReplicaStatus.ERROR, "epoch-conflict")
        assert (await peer.ask("unheard-of", 1))[0] is ReplicaStatus.ERROR
        assert await peer.ask("echo", 1) == (ReplicaStatus.OK, 1)
    assert "call_failed" in caplog.text


async def test_a_callback_that_fails_costs_no_other_call_its_answer(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def failing(_status: ReplicaStatus, _body: object) -> None:
        raise KeyError("bug")

    async with serving() as server, dialling(server.port) as peer:
        await peer.up()
        peer.call("echo", 1, failing)
        assert await peer.ask("echo", 2) == (ReplicaStatus.OK, 2)
    assert "reply_failed" in caplog.text


async def test_a_request_from_too_far_ahead_is_refused_and_moves_no_clock() -> None:
    async with serving() as server, dialling(server.port) as peer:
        await peer.up()
        peer.end.hlc = Hlc(2 * DRIFT)
        assert await peer.ask("echo", 1) == (ReplicaStatus.CLOCK_SKEW, None)
        assert server.requests == []
        assert 2 * DRIFT not in server.end.seen


async def test_an_answer_from_too_far_ahead_is_lost_and_the_link_lives_on() -> None:
    async with serving() as server, dialling(server.port) as peer:
        await peer.up()
        server.end.hlc = Hlc(2 * DRIFT)
        assert await peer.ask("echo", 1) == (ReplicaStatus.LOST, None)
        server.end.hlc = Hlc(DRIFT)
        assert await peer.ask("echo", 2) == (ReplicaStatus.OK, 2)
        assert peer.end.seen[-1] == DRIFT
        assert peer.link.up


async def test_a_status_of_a_newer_version_is_neither_ok_nor_no() -> None:
    def newer(_header: CallHeader, _body: Body) -> CallResult:
        return "moved-to-mars", EMPTY

    async with serving(newer=newer) as server, dialling(server.port) as peer:
        await peer.up()
        assert await peer.ask("newer", 1) == (ReplicaStatus.ERROR, None)


async def test_a_peer_that_closes_before_it_greets_is_dialled_again() -> None:
    async with serving(server_of=LeavingServer) as server, dialling(server.port) as peer:
        await until(lambda: peer.link.refusal is not None)
        assert peer.link.refusal == "closed before it greeted"
        await peer.up()


class LeavingServer(LinkServer):
    """A peer that closes its first connection at once, as one that is being stopped."""

    left = False

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if self.left:
            return await super().handle(request)
        self.left = True
        flow = web.WebSocketResponse()
        await flow.prepare(request)
        await flow.close()
        return flow


@pytest.mark.parametrize("hello", [b"\xc1", b"\x90", pack([1, 2])])
async def test_a_greeting_that_is_none_closes_the_link_quietly(
    hello: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving() as server, aiohttp.ClientSession() as http:
        url = f"http://127.0.0.1:{server.port}/node/v1/link"
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with http.ws_connect(url, headers=headers) as flow:
            await flow.send_bytes(bytes(memoryview(hello)))
            assert (await flow.receive()).type is aiohttp.WSMsgType.CLOSE
    assert "link_broken" in caplog.text
    assert "Error handling request" not in caplog.text


async def test_garbage_on_a_greeted_link_ends_it_and_what_waits_is_lost() -> None:
    held: asyncio.Future[CallResult] = asyncio.get_running_loop().create_future()
    async with serving(hold=lambda _header, _body: held) as server, dialling(server.port) as peer:
        await peer.up()
        waiting = asyncio.create_task(peer.ask("hold", 1))
        await until(lambda: len(server.requests) == 1)
        await _flow_of(peer).send_bytes(b"\xc1")
        assert await waiting == (ReplicaStatus.LOST, None)
        await peer.up()


def _flow_of(peer: Dialling) -> aiohttp.ClientWebSocketResponse:
    assert peer.link._flow is not None
    return peer.link._flow


async def test_two_frames_for_one_call_answer_it_once() -> None:
    async with serving() as server, dialling(server.port) as peer:
        await peer.up()
        answers: list[object] = []
        peer.call("echo", 1, lambda _, body: answers.append(unpack(body)))
        again = Outbox()
        again.add(1, "echo", 3, 0, pack(2))
        for data in call_messages(again.take(HLC_ZERO)):
            await _flow_of(peer).send_bytes(data)
        assert await peer.ask("echo", 3) == (ReplicaStatus.OK, 3)
        assert answers in ([1], [2])


class Sum(msgspec.Struct, array_like=True, frozen=True):
    """What is added up; `third` came with a later version."""

    first: int
    second: int
    third: int = 0


ADD = Method("add", request=Sum, reply=int)


async def test_both_sides_of_a_method_read_what_the_other_wrote(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def add(numbers: Sum, header: CallHeader) -> int:
        if numbers.first > header.epoch:
            raise RefusedCallError(ReplicaStatus.FULL, pack(header.epoch))
        return numbers.first + numbers.second + numbers.third

    async def add_later(numbers: Sum, header: CallHeader) -> int:
        return add(numbers, header)

    for name, handler in (ADD.served_at_once(add), ADD.served(add_later)):
        async with (
            serving(None, LinkServer, **{name: handler}) as server,
            dialling(server.port) as peer,
        ):
            await peer.up()
            assert await peer.ask("add", Sum(1, 2)) == (ReplicaStatus.OK, 3)
            assert await peer.ask("add", [1, 2]) == (ReplicaStatus.OK, 3)
            assert await peer.ask("add", [1, 2, 0, "newer"]) == (ReplicaStatus.OK, 3)
            assert await peer.ask("add", Sum(4, 0)) == (ReplicaStatus.FULL, 3)
            caplog.clear()
            assert await peer.ask("add", ["one", "two"]) == (ReplicaStatus.ERROR, None)
            assert "call_refused" in caplog.text
            assert "call_failed" not in caplog.text


async def test_calls_of_a_frame_are_refused_or_served_each_by_itself() -> None:
    def odd(_header: CallHeader, body: Body) -> CallResult:
        if unpack(body) % 2 == 0:
            raise RefusedCallError(ReplicaStatus.BUSY)
        return ReplicaStatus.OK, body

    async with serving(odd=odd) as server, dialling(server.port) as peer:
        await peer.up()
        answers = await asyncio.gather(*(peer.ask("odd", number) for number in range(4)))
        headers = {id(header) for header, _ in server.requests}
    assert answers == [
        (ReplicaStatus.BUSY, None),
        (ReplicaStatus.OK, 1),
        (ReplicaStatus.BUSY, None),
        (ReplicaStatus.OK, 3),
    ]
    assert len(headers) == 1, "they came in one frame"
