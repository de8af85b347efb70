"""What travels on a link, how long it is waited for, and what its end proves."""

import asyncio
from typing import Any

import msgspec
import pytest

from memory_spine import AsyncSpine, ConnectionFailed
from memory_spine.errors import SpineError
from memory_spine.link_frames import BODY_BYTES_MAX
from memory_spine.link_transport import LinkTransport
from unit.client.linked import (
    Calls,
    Flow,
    Node,
    calls_of,
    echo,
    listening,
    reply,
    request,
    scripted,
    silent,
    transport,
)
from unit.client.scripted_server import MEMORY
from unit.http.harness import DEADLINE_S, a_moment, until

# many on one connection


async def test_what_is_asked_at_once_is_one_message_on_one_connection() -> None:
    messages: list[Calls] = []

    async def play(flow: Flow) -> None:
        while calls := await calls_of(flow):
            messages.append(calls)
            await reply(flow, *([call[0], 200, {}, call[2].encode()] for call in calls))

    async with scripted(play) as node, transport() as link:
        for _ in range(2):
            asked = (link.send(request(node.url, f"/v1/{n}")) for n in range(100))
            answers = await asyncio.gather(*asked)
            assert [answer.body for answer in answers] == [b"/v1/%d" % n for n in range(100)]
        assert [len(calls) for calls in messages] == [100, 100]
        assert len(node.upgrades) == 1


async def test_writes_of_one_session_stay_together_though_each_learns_a_token() -> None:
    messages: list[Calls] = []

    async def play(flow: Flow) -> None:
        while calls := await calls_of(flow):
            messages.append(calls)
            await reply(flow, *(_stored(call) for call in calls))

    async with (
        scripted(play) as node,
        AsyncSpine(node.url, namespace="acme", transport="link") as spine,
    ):

        async def work(number: int) -> None:
            for _ in range(3):
                await spine.memories.put(f"n-{number}", "x")

        await asyncio.gather(*(work(number) for number in range(16)))
    assert [len(calls) for calls in messages] == [16, 1] * 3
    for merge, calls in zip(messages[1::2], messages[2::2], strict=False):
        assert {call[3]["Spine-Session"] for call in calls} == {f"merged-by-{merge[0][0]}"}


def _stored(call: list[Any]) -> list[Any]:
    """Answer a PUT with a token of its own, and a merge with another."""
    number, method, target, *_ = call
    if method == "POST":
        return [number, 200, {}, msgspec.json.encode({"token": f"merged-by-{number}"})]
    memory = {**MEMORY, "id": target.rsplit("/", 1)[1]}
    return [number, 201, {"Spine-Session": f"t-{number}"}, msgspec.json.encode(memory)]


async def test_no_more_calls_wait_on_a_link_than_the_node_reads() -> None:
    at_once: list[int] = []

    async def play(flow: Flow) -> None:
        while calls := await calls_of(flow):
            at_once.append(len(calls))
            await reply(flow, *([call[0], 200, {}, b""] for call in calls))

    async with scripted(play) as node, transport() as link:
        await asyncio.gather(*(link.send(request(node.url)) for _ in range(3000)))
    assert (sum(at_once), max(at_once)) == (3000, 1024)


async def test_a_message_is_never_larger_than_a_node_takes() -> None:
    async def play(flow: Flow) -> None:
        while calls := await calls_of(flow):
            assert sum(len(call[4]) for call in calls) < 2 * BODY_BYTES_MAX
            await reply(flow, *([call[0], 200, {}, b""] for call in calls))

    async with scripted(play) as node, transport() as link:
        body = b"x" * BODY_BYTES_MAX
        answers = await asyncio.gather(*(link.send(request(node.url, body=body)) for _ in range(8)))
        assert {answer.status for answer in answers} == {200}


async def test_no_more_bytes_are_under_way_than_the_node_reads() -> None:
    release = asyncio.Event()
    taken: Calls = []

    async def play(flow: Flow) -> None:
        while sum(len(call[4]) for call in taken) < 8 * BODY_BYTES_MAX:
            taken.extend(await calls_of(flow))
        await release.wait()
        await reply(flow, *([call[0], 200, {}, b""] for call in taken))
        await echo(flow)

    async with scripted(play) as node, transport() as link:
        body = b"x" * BODY_BYTES_MAX
        sends = [asyncio.create_task(link.send(request(node.url, body=body))) for _ in range(20)]
        await until(lambda: len(taken) == 8)
        await a_moment()
        assert link._links is not None
        (open_link,) = link._links._open
        assert len(open_link._outbox) == 12
        sends.pop().cancel()  # not sent: it takes no room, and gives none back
        release.set()
        assert {(await send).status for send in sends} == {200}
        assert open_link._under_way_bytes == 0


@pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")  # aiohttp's opinion
async def test_a_larger_body_goes_by_http() -> None:
    async with scripted(echo) as node, transport() as link:
        answer = await link.send(request(node.url, body=b"x" * (BODY_BYTES_MAX + 1)))
    assert (answer.status, node.by_http, node.upgrades) == (500, ["/v1/x"], [])


async def test_what_the_upgrade_has_said_is_not_said_again(node: Node) -> None:
    seen: list[Any] = []

    async def play(flow: Flow) -> None:
        while calls := await calls_of(flow):
            seen.extend(calls)
            await reply(flow, *([call[0], 500, {}, b""] for call in calls))

    async with scripted(play) as scripted_node:
        spine = AsyncSpine(scripted_node.url, api_key="k", attempts=1, transport="link")
        async with spine:
            with pytest.raises(SpineError):
                await spine.whoami()
        assert scripted_node.upgrades[0]["Authorization"] == "Bearer k"
    assert seen[0][3].keys() == {"Spine-Request-Id", "Spine-Timeout-Ms"}


# a node without links


@pytest.mark.parametrize("status", [404, 400, 426, 502])
async def test_a_node_that_refuses_links_is_asked_by_http(status: int) -> None:
    async with scripted(echo, status=status) as node, transport() as link:
        for _ in range(2):
            assert (await link.send(request(node.url))).status == 500
        assert (node.by_http, len(node.upgrades)) == (["/v1/x", "/v1/x"], 1)


# time


async def test_an_answer_that_does_not_come_is_given_up_and_no_other() -> None:
    async def play(flow: Flow) -> None:
        while calls := await calls_of(flow):
            for call in calls:
                if call[2] != "/v1/silent":
                    await reply(flow, [call[0], 200, {}, b""])

    async with scripted(play) as node, transport() as link:
        lost = link.send(request(node.url, "/v1/silent", first_byte_s=0.05))
        good = link.send(request(node.url, "/v1/good"))
        failed, answer = await asyncio.gather(lost, good, return_exceptions=True)
        assert isinstance(failed, ConnectionFailed)
        assert (failed.sent, "no answer within 0.1 s" in str(failed)) == (True, True)
        assert not isinstance(answer, BaseException)
        assert answer.status == 200
        await link.send(request(node.url, "/v1/good"))
        assert len(node.upgrades) == 1


async def test_each_call_is_given_up_at_its_own_time() -> None:
    given_up: list[float] = []

    async def ask(link: LinkTransport, url: str, first_byte_s: float) -> None:
        with pytest.raises(ConnectionFailed):
            await link.send(request(url, first_byte_s=first_byte_s))
        given_up.append(first_byte_s)

    async with scripted(silent) as node, transport() as link, asyncio.timeout(DEADLINE_S):
        await asyncio.gather(*(ask(link, node.url, time) for time in (0.15, 0.05, 0.1)))
    assert given_up == [0.05, 0.1, 0.15]


async def test_after_a_silence_the_next_request_dials_anew() -> None:
    played: list[Flow] = []

    async def play(flow: Flow) -> None:
        played.append(flow)
        await (silent(flow) if len(played) == 1 else echo(flow))

    async with scripted(play) as node, transport() as link:
        waiting = asyncio.create_task(link.send(request(node.url, timeout_s=0.2)))
        with pytest.raises(ConnectionFailed):
            await link.send(request(node.url, timeout_s=0.05))
        assert (await link.send(request(node.url))).status == 200
        with pytest.raises(ConnectionFailed, match=r"no answer within 0\.2 s"):
            await waiting  # the old link was left to it
        await until(lambda: played[0].closed)


async def test_an_answer_that_has_begun_has_the_whole_time() -> None:
    async def play(flow: Flow) -> None:
        (call,) = await calls_of(flow)
        await reply(flow, [call[0], 200, {"X-Y": "z"}, b"a", True])
        for _ in range(30):
            await a_moment()
        await reply(flow, [call[0], 0, {}, b"b", True])
        await reply(flow, [call[0], 0, {}, b"c"])
        await silent(flow)

    async with scripted(play) as node, transport() as link:
        answer = await link.send(request(node.url, first_byte_s=0.1))
        assert (answer.body, answer.headers) == (b"abc", {"x-y": "z"})


async def test_an_answer_that_never_ends_is_given_up() -> None:
    async def play(flow: Flow) -> None:
        (call,) = await calls_of(flow)
        await reply(flow, [call[0], 200, {}, b"a", True])
        await silent(flow)

    async with scripted(play) as node, transport() as link:
        with pytest.raises(ConnectionFailed, match=r"no whole answer within 0\.1 s"):
            await link.send(request(node.url, timeout_s=0.1))


async def test_what_waits_for_a_connection_was_not_sent() -> None:
    hold = asyncio.Event()

    async def never(_reader: Any, writer: asyncio.StreamWriter) -> None:
        await hold.wait()
        writer.close()

    server = await asyncio.start_server(never, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with transport() as link:
        with pytest.raises(ConnectionFailed, match="no connection within") as failed:
            await link.send(request(url, timeout_s=0.05))
        assert not failed.value.sent
    hold.set()
    server.close()
    await server.wait_closed()


async def test_a_caller_that_gives_up_leaves_nothing_and_harms_nobody() -> None:
    release = asyncio.Event()

    async def play(flow: Flow) -> None:
        calls = await calls_of(flow)
        await release.wait()
        await reply(flow, *([call[0], 200, {}, b""] for call in calls))
        await echo(flow)

    async with scripted(play) as node, transport() as link:
        given_up, kept = (asyncio.create_task(link.send(request(node.url))) for _ in range(2))
        await until(lambda: bool(node.upgrades))
        given_up.cancel()
        await asyncio.gather(given_up, return_exceptions=True)
        release.set()
        assert (await kept).status == 200  # the late answer to the other was passed over
        assert (await link.send(request(node.url))).status == 200
        assert link._links is not None
        (open_link,) = link._links._open
        assert not open_link._waiting


# the end of a link


async def test_a_refused_connection_proves_that_nothing_arrived() -> None:
    async with scripted(echo) as node:
        url = node.url
    async with transport() as link:
        with pytest.raises(ConnectionFailed) as failed:
            await link.send(request(url))
    assert not failed.value.sent


async def test_what_was_sent_on_a_link_that_breaks_may_have_been_applied() -> None:
    async def play(flow: Flow) -> None:
        await calls_of(flow)
        await flow.close()

    async with scripted(play) as node:
        spine = AsyncSpine(node.url, namespace="acme", attempts=1, transport="link")
        async with spine:
            with pytest.raises(ConnectionFailed) as failed:
                await spine.memories.put("n", "x")
    assert (failed.value.sent, failed.value.may_have_been_applied) == (True, True)


async def test_every_attempt_of_a_write_has_the_same_key() -> None:
    keys: list[str] = []

    async def play(flow: Flow) -> None:
        keys.extend([call[3]["Idempotency-Key"] for call in await calls_of(flow)])
        await flow.close()

    async with (
        scripted(play) as node,
        AsyncSpine(node.url, namespace="acme", transport="link") as spine,
    ):
        with pytest.raises(ConnectionFailed):
            await spine.memories.put("n", "x")
    assert (len(keys), len(set(keys))) == (4, 1)


@pytest.mark.parametrize("garbage", [b"\xc1", b"", msgspec.msgpack.encode([["x"]])])
async def test_garbage_of_a_node_ends_the_link(garbage: bytes) -> None:
    async def play(flow: Flow) -> None:
        await calls_of(flow)
        await flow.send_bytes(garbage)
        await silent(flow)

    async with scripted(play) as node, transport() as link:
        with pytest.raises(ConnectionFailed) as failed:
            await link.send(request(node.url))
    assert failed.value.sent


async def test_a_node_that_stops_answers_every_request_that_it_took() -> None:
    async with listening() as first, listening() as second:
        urls = [first.url, second.url]
        async with AsyncSpine(urls, namespace="acme", transport="link") as spine:
            await spine.memories.put("n", "x")
            await spine.with_options(urls=second.url).memories.put("n", "x")
            stop = asyncio.Event()

            async def work() -> int:
                done = 0
                while not stop.is_set():
                    await spine.memories.get("n")
                    done += 1
                return done

            workers = [asyncio.create_task(work()) for _ in range(20)]
            await a_moment()
            await first.server.close()
            await a_moment()
            stop.set()
            done = await asyncio.gather(*workers)
            assert min(done) > 0
            answered = [name for node in (first, second) for name, _s in node.harness.measured]
            assert answered.count("getMemory") == sum(done)  # none was asked for again
            assert spine.last_answer is not None
            assert spine.last_answer.url == second.url
            # none was lost on its way: those that followed met a closed port
            assert spine.stats.indeterminate == 0


async def test_a_retired_link_ends_when_its_last_answer_is_there(node: Node) -> None:
    async with transport() as link:
        await link.send(request(node.url, "/v1/whoami"))
        assert link._links is not None
        (open_link,) = link._links._open
        open_link.retire()
        await until(lambda: not node.connections)
        assert not link._links._open


async def test_close_ends_the_link_and_what_waits_on_it() -> None:
    async with scripted(silent) as node:
        link = LinkTransport()
        waiting = asyncio.create_task(link.send(request(node.url)))
        await until(lambda: bool(node.upgrades))
        await link.close()
        with pytest.raises(ConnectionFailed, match="the client was closed"):
            await waiting
        await link.close()


async def test_after_close_it_can_be_used_again() -> None:
    async with scripted(echo) as node, transport() as link:
        await link.send(request(node.url))
        await link.close()
        assert (await link.send(request(node.url))).status == 200
