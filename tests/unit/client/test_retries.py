"""When a call is tried again, where, after how long, and what its failure says."""

import pytest

from memory_spine import operations
from memory_spine.effects import Answer
from memory_spine.errors import (
    ConnectionFailed,
    Forbidden,
    NotFound,
    Overloaded,
    QuorumUnavailable,
    RateLimited,
    Unavailable,
    UnexpectedAnswer,
    ValidationFailed,
)
from memory_spine.models import Memory
from memory_spine.retry import BUDGET_RESERVE
from unit.client.scripted_server import ScriptedServer, lost, ok, problem


def _put(server: ScriptedServer, *urls: str, **options: object) -> Memory:
    return server.run(operations.put(server.core(*urls, **options), "t-1", "hello", {}, key=None))


def _quorum_unavailable(outcome: str, **more: object) -> object:
    return problem("quorum-unavailable", 503, retryable=True, outcome=outcome, **more)


@pytest.mark.parametrize(
    "failure",
    [
        lost(),
        lost(sent=False),
        problem("rate-limited", 429, retryable=True),
        problem("quorum-unavailable", 503, retryable=True, outcome="indeterminate"),
        problem("internal", 500, retryable=True, outcome="indeterminate"),
    ],
)
def test_what_may_pass_is_tried_again_with_the_same_key(failure: object) -> None:
    server = ScriptedServer([failure, ok()])  # type: ignore[list-item]
    assert _put(server).id == "t-1"
    keys = [request.headers["Idempotency-Key"] for request in server.requests]
    assert len(keys) == 2
    assert keys[0] == keys[1]
    assert len(keys[0]) == 26


def test_two_calls_never_share_a_key() -> None:
    server = ScriptedServer([ok(), ok()])
    core = server.core()
    for _ in range(2):
        server.run(operations.put(core, "t-1", "hello", {}, key=None))
    first, second = (request.headers["Idempotency-Key"] for request in server.requests)
    assert first != second


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (problem("forbidden", 403, retryable=False), Forbidden),
        (problem("validation-failed", 422, retryable=False), ValidationFailed),
        (problem("storage-full", 507, retryable=False), Unavailable),
    ],
)
def test_a_final_refusal_is_not_tried_again(answer: object, error: type[Exception]) -> None:
    server = ScriptedServer([answer])  # type: ignore[list-item]
    with pytest.raises(error):
        _put(server)
    assert not server.sleeps


def test_four_attempts_and_then_the_last_failure() -> None:
    server = ScriptedServer([*[lost()] * 3, problem("overloaded", 503, retryable=True)])
    with pytest.raises(Overloaded):
        _put(server)
    assert len(server.requests) == 4


def test_waits_double_from_50_ms_and_stop_at_2_s() -> None:
    server = ScriptedServer([lost()] * 8)
    with pytest.raises(ConnectionFailed):
        _put(server, attempts=8, timeout=100.0)
    assert server.sleeps == [0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 2.0]


def test_a_lone_node_is_given_the_time_it_asks_for() -> None:
    server = ScriptedServer([problem("overloaded", 503, retryable=True, retry_after_ms=1500), ok()])
    _put(server)
    assert server.sleeps == [1.5]


def test_retry_after_in_seconds_counts_too() -> None:
    refusal = problem("rate-limited", 429, retryable=True)
    refusal.headers["retry-after"] = "3"  # type: ignore[index]
    server = ScriptedServer([refusal, ok()])
    _put(server)
    assert server.sleeps == [3.0]


def test_another_node_need_not_be_waited_for() -> None:
    server = ScriptedServer([problem("not-ready", 503, retryable=True, retry_after_ms=5000), ok()])
    _put(server, "http://a", "http://b")
    assert server.hosts == ["a", "b"]
    assert server.sleeps == [0.05]


def test_no_wait_that_ends_after_the_deadline_is_begun() -> None:
    server = ScriptedServer([problem("rate-limited", 429, retryable=True, retry_after_ms=9000)])
    with pytest.raises(RateLimited):
        _put(server, timeout=5.0)
    assert not server.sleeps


def test_attempts_share_the_time_left_and_the_node_is_told_to_answer_earlier() -> None:
    server = ScriptedServer([lost(sent=False), lost(sent=False), ok()])
    _put(server, timeout=8.0, attempts=4)
    first, second, third = server.requests
    assert first.first_byte_s == pytest.approx(2.0)
    assert second.first_byte_s == pytest.approx((8.0 - 0.05) / 3)
    assert third.first_byte_s == pytest.approx((8.0 - 0.15) / 2)
    assert first.headers["Spine-Timeout-Ms"] == "1800"


def test_an_answer_that_has_begun_may_take_all_the_time_of_the_call() -> None:
    server = ScriptedServer([lost(sent=False), ok()])
    _put(server, timeout=8.0, attempts=4)
    first, second = server.requests
    assert first.timeout_s == pytest.approx(8.0)
    assert second.timeout_s == pytest.approx(8.0 - 0.05)


def test_a_failed_node_rests_five_seconds_and_the_others_carry_on() -> None:
    server = ScriptedServer([lost(), ok(), ok(), ok()])
    core = server.core("http://a", "http://b", "http://c")
    for _ in range(2):
        server.run(operations.get(core, "t-1", ()))
    assert server.hosts == ["a", "b", "b"]
    core.endpoints.avoid("http://b", server.now_s)
    server.run(operations.get(core, "t-1", ()))
    assert server.hosts[-1] == "c"


def test_with_all_nodes_resting_the_first_to_wake_is_asked() -> None:
    server = ScriptedServer([lost(), lost(), ok()])
    _put(server, "http://a", "http://b")
    assert server.hosts == ["a", "b", "a"]


def test_retries_stay_a_tenth_of_the_requests_when_the_reserve_is_used_up() -> None:
    server = ScriptedServer()
    core = server.core(attempts=2)
    for _ in range(1000):
        server.replies = [lost(), lost()]
        with pytest.raises(ConnectionFailed):
            server.run(operations.get(core, "t-1", ()))
    retries = core.meter.stats.attempts - core.meter.stats.requests
    assert BUDGET_RESERVE <= retries <= BUDGET_RESERVE + 0.1 * 1000


def test_a_clean_refusal_does_not_unsay_an_attempt_that_may_have_been_applied() -> None:
    server = ScriptedServer([lost(sent=True), problem("forbidden", 403, outcome="not-applied")])
    with pytest.raises(Forbidden) as refused:
        _put(server)
    assert refused.value.outcome == "not-applied"
    assert refused.value.may_have_been_applied


def test_a_write_that_never_left_cannot_have_been_applied() -> None:
    server = ScriptedServer([lost(sent=False)] * 4)
    with pytest.raises(ConnectionFailed) as failed:
        _put(server)
    assert not failed.value.may_have_been_applied


@pytest.mark.parametrize(
    ("outcome", "indeterminate"), [("indeterminate", True), ("not-applied", False)]
)
def test_the_outcome_of_a_failed_write_is_told(outcome: str, indeterminate: bool) -> None:
    server = ScriptedServer([_quorum_unavailable(outcome)] * 4)  # type: ignore[list-item]
    core = server.core()
    with pytest.raises(QuorumUnavailable) as failed:
        server.run(operations.put(core, "t-1", "hello", {}, key=None))
    assert failed.value.may_have_been_applied is indeterminate
    assert core.meter.stats.indeterminate == indeterminate


def test_a_failed_read_is_never_indeterminate() -> None:
    server = ScriptedServer([lost(sent=True)] * 4)
    with pytest.raises(ConnectionFailed) as failed:
        server.run(operations.get(server.core(), "t-1", ()))
    assert not failed.value.may_have_been_applied


def test_an_answer_of_a_proxy_is_tried_again_and_leaves_a_write_indeterminate() -> None:
    server = ScriptedServer([ok({}, status=502, content_type="text/html")] * 4)
    with pytest.raises(UnexpectedAnswer) as failed:
        _put(server)
    assert len(server.requests) == 4
    assert failed.value.may_have_been_applied


def test_a_404_that_is_no_problem_document_is_not_a_missing_memory() -> None:
    server = ScriptedServer([ok({}, status=404, content_type="text/html")])
    with pytest.raises(UnexpectedAnswer) as failed:
        server.run(operations.get_or_none(server.core(), "t-1", ()))
    assert not isinstance(failed.value, NotFound)


@pytest.mark.parametrize("body", [b"[" * 1_000_000, b"\xff", b""])
def test_an_answer_that_cannot_be_read_is_unexpected_and_nothing_else(body: bytes) -> None:
    headers = {"content-type": "application/problem+json"}
    for answer in (Answer(status=200, body=body), Answer(status=422, headers=headers, body=body)):
        with pytest.raises(UnexpectedAnswer):
            _put(ScriptedServer([answer]))


def test_an_accepted_write_with_an_unreadable_answer_is_indeterminate() -> None:
    server = ScriptedServer([ok(["not", "a", "memory"])])
    with pytest.raises(UnexpectedAnswer) as failed:
        _put(server)
    assert failed.value.may_have_been_applied


def test_what_a_client_did_is_counted() -> None:
    server = ScriptedServer([lost(), ok(), ok(), *[lost()] * 4])
    core = server.core()
    for _ in range(2):
        server.run(operations.put(core, "t-1", "hello", {}, key=None))
    with pytest.raises(ConnectionFailed):
        server.run(operations.put(core, "t-1", "hello", {}, key=None))
    stats = core.meter.stats
    assert (stats.requests, stats.attempts, stats.attempts_failed) == (3, 7, 5)
    assert (stats.retried, stats.indeterminate) == (2, 1)
