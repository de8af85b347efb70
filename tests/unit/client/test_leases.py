"""Leases: what is sent, for how long a holder relies on one, and when it is told that it is lost."""

import asyncio
import json
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from memory_spine import AsyncSpine, ConfigError, Spine, leases
from memory_spine.core import Core
from memory_spine.effects import Answer, Request
from memory_spine.errors import ConnectionFailed, Forbidden, LeaseHeld, LeaseLost
from memory_spine.held_lease import HeldLease
from memory_spine.models import LeaseGrant
from memory_spine.sync_leases import Lease, Leases
from unit.client.scripted_server import AsyncScriptedServer, ScriptedServer, lost, ok, problem

GRANT = {
    "key": "deploy",
    "holder": "agent-7",
    "fence": 42,
    "ttl_ms": 30_000,
    "expires_at": "2026-11-22T10:00:30.000Z",
}
HELD = problem("lease-held", 409, holder="agent-3", retry_after_ms=8120, retryable=True)
PASSED_ON = problem("lease-lost", 409, outcome="not-applied")
RELEASED = Answer(status=204)
PATH = "http://a/v1/ns/acme/leases/deploy"


def _granted(**more: object) -> Answer:
    return ok({**GRANT, **more})


def _body(request: Request) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(request.body or b"")
    return found


def _leases(server: ScriptedServer, **options: object) -> Leases:
    return Leases(server.core(**options), server)


def _acquired(server: ScriptedServer, wait: float = 0.0) -> HeldLease:
    """Acquire a lease on the server's clock."""
    core = server.core()
    operation = leases.acquire(core, "deploy", ttl=30.0, wait=wait, holder="agent-7", guards=())
    return HeldLease(core, *server.run(operation))


def _held(server: ScriptedServer, told: list[str], core: Core | None = None) -> HeldLease:
    """A lease of 30 s that was asked for at this moment."""
    grant = LeaseGrant(**{**GRANT, "expires_at": None})  # type: ignore[arg-type]
    return HeldLease(core or server.core(), grant, server.now_s, lambda: told.append("lost"))


def test_acquire_sends_what_was_given() -> None:
    server = ScriptedServer([_granted()])
    lease = _leases(server).acquire(
        "deploy", ttl=timedelta(minutes=1), holder="agent-7", guards=["release"]
    )
    (request,) = server.requests
    assert (request.method, request.url) == ("POST", f"{PATH}:acquire")
    assert _body(request) == {
        "holder": "agent-7",
        "ttl_ms": 60_000,
        "wait_ms": 0,
        "guards": ["release"],
    }
    assert len(request.headers["Idempotency-Key"]) == 26
    assert (lease.key, lease.fence, lease.holder, str(lease)) == (
        "deploy",
        42,
        "agent-7",
        "deploy=42",
    )


def test_who_names_no_holder_gets_a_name_that_nobody_else_has() -> None:
    server = ScriptedServer([_granted(), _granted()])
    for _ in range(2):
        _leases(server).acquire("deploy")
    first, second = (_body(request)["holder"] for request in server.requests)
    assert first != second
    assert first.startswith("host-1-")


def test_a_held_lease_is_told_at_once_when_nobody_waits() -> None:
    server = ScriptedServer([HELD])
    with pytest.raises(LeaseHeld) as refused:
        _leases(server).acquire("deploy")
    assert refused.value.holder == "agent-3"
    assert not server.sleeps


def test_the_node_is_given_the_time_of_the_wait_and_of_the_call() -> None:
    server = ScriptedServer([_granted()])
    _leases(server, timeout=8.0).acquire("deploy", wait=12.0)
    (request,) = server.requests
    assert _body(request)["wait_ms"] == 12_000
    assert request.timeout_s == pytest.approx(20.0)
    assert request.first_byte_s == pytest.approx(12.0 + 20.0 / 4)
    assert request.headers["Spine-Timeout-Ms"] == "16500"  # a tenth of the share earlier


def test_a_long_wait_is_several_requests_with_keys_of_their_own() -> None:
    def wait(request: Request) -> Answer:
        server.now_s += _body(request)["wait_ms"] / 1000
        return HELD

    server = ScriptedServer([wait, wait, wait])
    with pytest.raises(LeaseHeld):
        _acquired(server, 45.0)
    waits = [_body(request)["wait_ms"] for request in server.requests]
    assert waits == [20_000, 20_000, 4_850]
    assert len({request.headers["Idempotency-Key"] for request in server.requests}) == 3
    assert server.now_s == pytest.approx(1045.0)


def test_a_lease_counts_from_when_it_was_asked_for_less_a_tenth() -> None:
    def slowly(_: Request) -> Answer:
        server.now_s += 5.0
        return _granted()

    server = ScriptedServer([slowly])
    lease = _leases(server).acquire("deploy")
    assert lease.expires_in == pytest.approx(22.0)  # 27 s from the request, not from its answer
    server.now_s += 21.9
    lease.check()
    server.now_s += 0.1
    assert lease.lost
    with pytest.raises(LeaseLost, match="deploy is not held any more: it was not renewed in time"):
        lease.check()


def test_a_lease_that_was_waited_for_is_renewed_so_that_it_counts_from_now() -> None:
    def late(_: Request) -> Answer:
        server.now_s += 12.0
        return _granted()

    server = ScriptedServer([late, _granted()])
    lease = _leases(server).acquire("deploy", wait=15.0)
    assert [request.url for request in server.requests] == [f"{PATH}:acquire", f"{PATH}:renew"]
    assert _body(server.requests[1]) == {"holder": "agent-7", "fence": 42, "ttl_ms": 30_000}
    assert lease.expires_in == pytest.approx(27.0)


def test_a_grant_whose_first_answer_was_lost_counts_from_the_first_request() -> None:
    server = ScriptedServer([lost(), _granted()])
    lease = _acquired(server)
    assert lease.expires_in == pytest.approx(27.0 - 0.05)
    first, second = (request.headers["Idempotency-Key"] for request in server.requests)
    assert first == second


def test_renew_begins_the_time_anew_and_release_ends_it() -> None:
    server = ScriptedServer([_granted(), _granted(), RELEASED])
    lease = _leases(server).acquire("deploy")
    server.now_s += 10.0
    lease.renew()
    assert lease.expires_in == pytest.approx(27.0)
    lease.release()
    assert lease.lost
    assert [_body(request) for request in server.requests[1:]] == [
        {"holder": "agent-7", "fence": 42, "ttl_ms": 30_000},
        {"holder": "agent-7", "fence": 42},
    ]
    with pytest.raises(LeaseLost, match="given back"):
        lease.check()


def test_a_lease_that_passed_on_is_lost_for_good() -> None:
    server = ScriptedServer([_granted(), PASSED_ON, _granted()])
    lease = _leases(server).acquire("deploy")
    with pytest.raises(LeaseLost):
        lease.renew()
    lease.renew()  # a late answer
    assert lease.lost


def test_a_kept_lease_is_renewed_at_a_third_of_its_time() -> None:
    server, told = ScriptedServer(), list[str]()
    lease = _held(server, told)
    times: list[float] = []

    def renewed(_: Request) -> Answer:
        times.append(server.now_s - 1000.0)
        server.now_s += 1.0  # counted from before this
        if len(times) == 3:
            lease.end("it was given back")
        return _granted()

    server.replies = [renewed] * 3
    server.run(leases.keep(server.core(), lease))
    assert times == pytest.approx([10.0, 20.0, 30.0])
    assert told == []


def test_a_renewal_that_fails_is_tried_again_until_the_time_is_over() -> None:
    def fail(request: Request) -> ConnectionFailed:
        assert server.now_s + request.timeout_s <= 1027.0 + 0.02
        server.now_s += min(2.0, request.timeout_s)
        return lost()

    server, told = ScriptedServer([fail] * 99), list[str]()
    lease = _held(server, told)
    server.run(leases.keep(server.core(timeout=4.0), lease))
    assert told == ["lost"]
    assert 1027.0 <= server.now_s <= 1027.1
    assert len(server.requests) > 6
    assert lease.lost


def test_a_renewal_that_works_again_keeps_the_lease() -> None:
    server, told = ScriptedServer(), list[str]()
    lease = _held(server, told)

    def renewed(_: Request) -> Answer:
        lease.end("it was given back")
        return _granted()

    refused = problem("forbidden", 403)  # a credential is being exchanged
    server.replies = [*[lost()] * 4, refused, renewed]
    server.run(leases.keep(server.core(), lease))
    assert told == []


def test_a_lease_that_passed_on_is_told_at_once_and_once() -> None:
    server, told = ScriptedServer([PASSED_ON]), list[str]()
    lease = _held(server, told)
    server.run(leases.keep(server.core(), lease))
    assert told == ["lost"]
    assert server.now_s == pytest.approx(1010.0)
    assert lease.lost


def test_a_renewal_that_breaks_down_leaves_nobody_believing() -> None:
    def broken() -> str:
        raise ZeroDivisionError

    server, told = ScriptedServer(), list[str]()
    core = server.core(api_key=broken)
    lease = _held(server, told, core)
    with pytest.raises(ZeroDivisionError):
        server.run(leases.keep(core, lease))
    assert told == ["lost"]
    assert lease.lost


def _holds(answers: list[Any], use: Callable[[Lease], None], **more: Any) -> ScriptedServer:
    server = ScriptedServer(answers)
    spine = Spine("http://a", namespace="acme", transport=server, attempts=1)
    with spine.leases.hold("deploy", holder="agent-7", **more) as lease:
        use(lease)
    return server


def test_a_held_lease_is_given_back_at_the_end_of_its_block() -> None:
    server = _holds([_granted(), RELEASED], lambda lease: lease.check())
    assert [request.url for request in server.requests] == [f"{PATH}:acquire", f"{PATH}:release"]
    assert not [t for t in threading.enumerate() if t.name.startswith("memory-spine-lease")]


def test_a_block_that_raises_gives_its_lease_back_too() -> None:
    server = ScriptedServer([_granted(), problem("forbidden", 403)])
    spine = Spine("http://a", namespace="acme", transport=server)
    with pytest.raises(ZeroDivisionError), spine.leases.hold("deploy"):
        raise ZeroDivisionError
    assert server.requests[-1].url == f"{PATH}:release"


def test_a_block_that_gives_its_lease_back_itself_does_it_once() -> None:
    server = _holds([_granted(), RELEASED], lambda lease: lease.release())
    assert len(server.requests) == 2


def test_the_owner_of_a_lost_lease_is_told_while_the_block_goes_on() -> None:
    told = threading.Event()

    def use(lease: Lease) -> None:
        assert told.wait(30)
        assert lease.lost
        with pytest.raises(LeaseLost):
            lease.check()

    short = _granted(ttl_ms=1500)  # renewed after half a second
    server = _holds([short, short, PASSED_ON], use, on_lost=told.set)
    urls = [request.url.rpartition(":")[2] for request in server.requests]
    assert urls == ["acquire", "renew", "renew"]


async def test_the_awaiting_client_does_the_same() -> None:
    short = _granted(ttl_ms=1500)  # renewed after half a second
    server = ScriptedServer([_granted(), RELEASED, short, short, PASSED_ON, _granted()])
    told: list[str] = []
    transport = AsyncScriptedServer(server)
    async with AsyncSpine("http://a", namespace="acme", transport=transport) as spine:
        async with spine.leases.hold("deploy") as lease:
            lease.check()
        lost_for = lambda: told.append("lost")  # noqa: E731 - as a caller writes it
        async with spine.leases.hold("deploy", on_lost=lost_for) as lease:
            await _ended(lease)
            assert lease.lost
        taken = await spine.leases.renew("deploy", holder="agent-7", fence=42)
        assert not taken.lost
    assert told == ["lost"]
    urls = [request.url.rpartition(":")[2] for request in server.requests]
    assert urls == ["acquire", "release", "acquire", "renew", "renew", "renew"]


async def _ended(lease: HeldLease) -> None:
    await asyncio.wait_for(asyncio.wrap_future(lease.ended), 30)


def test_a_lease_can_be_taken_over_and_broken_by_its_fence() -> None:
    server = ScriptedServer([_granted(), RELEASED])
    held = _leases(server).renew("deploy", holder="agent-7", fence=42)
    assert held.expires_in == pytest.approx(27.0)
    _leases(server).release("deploy", holder="agent-7", fence=42)
    renewal, release = server.requests
    assert _body(renewal) == _body(release) == {"holder": "agent-7", "fence": 42}
    assert release.url == f"{PATH}:release"


def test_anybody_may_see_who_holds_what() -> None:
    info = {"key": "deploy", "held": True, "holder": "agent-7", "fence": 42, "expires_at": None}
    first = {"items": [info], "next_page_token": "p2"}
    server = ScriptedServer([ok(info), ok(first), ok({"items": [{**info, "held": False}]})])
    spine = Spine("http://a", namespace="acme", transport=server)
    assert spine.leases.get("deploy").holder == "agent-7"
    assert [lease.held for lease in spine.leases.list()] == [True, False]
    assert [request.url for request in server.requests] == [
        PATH,
        "http://a/v1/ns/acme/leases",
        "http://a/v1/ns/acme/leases?page_token=p2",
    ]


def test_a_lease_is_a_fence() -> None:
    server = ScriptedServer([_granted(), RELEASED])
    spine = Spine("http://a", namespace="acme", transport=server)
    lease = spine.leases.acquire("deploy")
    spine.memories.delete("t-1", fence=lease)
    assert server.requests[-1].headers["Spine-Fence"] == "deploy=42"


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (lambda held: held.acquire(""), "key is empty"),
        (lambda held: held.acquire(".."), "cannot stand in a path"),
        (lambda held: held.acquire("k", ttl="30"), "ttl must be a number, not str"),
        (lambda held: held.acquire("k", ttl=-1), "ttl must not be negative"),
        (lambda held: held.acquire("k", wait=float("nan")), "wait is NaN"),
        (lambda held: held.acquire("k", holder=7), "holder must be a text"),
        (lambda held: held.acquire("k", holder=""), "holder is empty"),
        (lambda held: held.acquire("k", guards="release"), "guards must be a sequence"),
        (lambda held: held.release("k", holder="h", fence="42"), "fence must be an integer"),
        (lambda held: held.get(None), "key must be a text"),
    ],
)
def test_a_wrong_argument_is_refused_before_anything_is_sent(
    use: Callable[[Leases], object], message: str
) -> None:
    server = ScriptedServer()
    with pytest.raises((ConfigError, TypeError), match=message):
        use(_leases(server))
    assert not server.requests


def test_a_refusal_that_is_no_answer_about_the_lease_is_raised() -> None:
    with pytest.raises(Forbidden):
        _acquired(ScriptedServer([problem("forbidden", 403)]), 30.0)
