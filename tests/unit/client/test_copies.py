"""What the package hands out can be copied, and sent to another process, whole."""

import asyncio
import copy
import multiprocessing
import pickle
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from memory_spine import AsyncSpine, Spine, errors, models
from memory_spine.batch import Batch
from memory_spine.errors import ProblemError, SpineError, error_of
from memory_spine.models import BatchResult, ItemResult, Memory
from memory_spine.stats import AnswerInfo, Stats

NOW = datetime(2026, 11, 22, tzinfo=UTC)
PROBLEM = {
    "code": "validation-failed",
    "detail": "wrong",
    "outcome": "not-applied",
    "request_id": "r-1",
    "retry_after_ms": 5,
    "errors": [{"path": "tags", "message": "must be a list"}],
}


def _through_pickle(value: Any) -> Any:
    return pickle.loads(pickle.dumps(value))


WAYS = pytest.mark.parametrize("way", [_through_pickle, copy.deepcopy, copy.copy])


def _classes(root: type[SpineError]) -> Iterator[type[SpineError]]:
    yield root
    for kind in root.__subclasses__():
        if kind.__module__ == errors.__name__:
            yield from _classes(kind)


def _example(kind: type[SpineError]) -> SpineError:
    if issubclass(kind, ProblemError):
        return kind({**PROBLEM, "code": kind.code}, kind.status or 418)
    if kind is errors.ConnectionFailed:
        return errors.ConnectionFailed("http://a", "reset", sent=True)
    if kind is errors.UnexpectedAnswer:
        return errors.UnexpectedAnswer("http://a", 503, "no problem document")
    if kind is errors.BatchFailed:
        return errors.BatchFailed(_result())
    return kind("something is wrong")


def _result() -> BatchResult:
    failed = ItemResult(status=422, problem=PROBLEM)
    return BatchResult(results=(ItemResult(status=201, id="a"), failed), failed=1)


@WAYS
@pytest.mark.parametrize("kind", [*_classes(SpineError)], ids=lambda kind: kind.__name__)
def test_every_error_keeps_its_kind_message_and_fields(
    kind: type[SpineError], way: Callable[[Any], Any]
) -> None:
    error = _example(kind)
    error.may_have_been_applied = True  # as the attempts before it have left it
    error.add_note("seen by the test")
    again = way(error)
    assert type(again) is kind
    assert str(again) == str(error)
    assert again.__dict__ == error.__dict__
    assert (again.status, again.retryable) == (error.status, error.retryable)
    assert again.may_have_been_applied


def _fail(status: int) -> None:
    raise error_of(PROBLEM, status)


def test_a_pool_of_processes_raises_what_its_worker_raised() -> None:
    with (
        multiprocessing.get_context("spawn").Pool(1) as pool,
        pytest.raises(errors.ValidationFailed) as failed,
    ):
        pool.map(_fail, [422])
    assert failed.value.request_id == "r-1"


def _models() -> Iterator[Any]:
    memory = Memory(
        id="a", namespace="n", version="1", created_at=NOW, updated_at=NOW, metadata={"a": [1]}
    )
    yield memory
    yield models.Embedding(vector=(1.0, 2.0), model="m")
    coverage = models.Coverage(slots=4, answered=4)
    yield coverage
    yield models.Page(items=(memory,), coverage=coverage, next_page_token="p")
    yield ItemResult(status=422, problem=PROBLEM)
    yield _result()
    yield models.LeaseGrant(key="k", holder="h", fence=1, ttl_ms=1000, expires_at=NOW)
    lease = models.LeaseInfo(key="k", held=True, fence=1, holder="h")
    yield lease
    yield models.LeasePage(items=(lease,), next_page_token="p")
    event = models.Event(type="put", namespace="n", id="a", version="1", memory=memory)
    yield event
    yield models.ChangePage(events=(event,), cursor="c", reset=False)
    yield models.Identity(subject="s", auth="none", scopes=(), namespaces=("*",))
    node = models.Node(id="n", zone="z", status="ok")
    yield node
    yield models.Cluster(
        name="c", version="1", epoch=1, phase="stable", replication={}, consistency={},
        partitioning={}, nodes=(node,), limits={},
    )  # fmt: skip
    yield Stats(requests=3)
    yield AnswerInfo.of("http://a", 200, {"spine-node": "n"})


@WAYS
@pytest.mark.parametrize("model", [*_models()], ids=lambda model: type(model).__name__)
def test_every_answer_is_the_same_afterwards(model: Any, way: Callable[[Any], Any]) -> None:
    assert way(model) == model


@pytest.mark.parametrize("kind", [Spine, AsyncSpine])
@pytest.mark.parametrize("way", [_through_pickle, copy.deepcopy])
def test_a_client_takes_its_options_and_session_along_and_neither_connections_nor_counts(
    kind: type[Spine | AsyncSpine], way: Callable[[Any], Any]
) -> None:
    urls = ["http://a", "http://b"]
    client = kind(urls, api_key="k", namespace="acme", timeout=3.0, attempts=2, session="seen")
    client._core.meter.count("requests")
    client._core.endpoints.avoid("http://b", 0.0)
    again = way(client)
    assert repr(again) == repr(client)
    assert again._core.options == client._core.options
    assert again.session_token == "seen"
    assert again.stats == Stats()
    assert again.last_answer is None
    again.merge_session("more")
    assert client.session_token == "seen"
    assert again._transport is not client._transport


@pytest.mark.parametrize("kind", [Spine, AsyncSpine])
def test_an_agent_that_is_copied_keeps_its_client_and_views_together(
    kind: type[Spine | AsyncSpine],
) -> None:
    client = kind("http://a", namespace="acme")
    agent = {"client": client, "other": client.ns("other"), "memories": client.memories}
    again = copy.deepcopy(agent)
    again["client"].merge_session("x")  # type: ignore[union-attr]
    assert again["other"].session_token == "x"  # type: ignore[union-attr]
    assert client.session_token is None


def test_a_client_inside_a_block_takes_the_session_of_the_block_along() -> None:
    client = Spine("http://a", session="outside")
    with client.session("inside"):
        again = _through_pickle(client)
    assert again.session_token == "inside"


def test_a_copied_client_trusts_the_same_certificates(tmp_path: Path) -> None:
    file = tmp_path / "gone.crt"
    with pytest.raises(errors.ConfigError, match=r"gone\.crt"):
        Spine("https://a", ca_file=str(file))
    client = Spine("http://a", proxy="http://proxy:3128")
    assert _through_pickle(client)._transport._options == client._transport._options  # type: ignore[attr-defined]


def test_the_parts_of_a_client_can_be_sent_too() -> None:
    client = Spine("http://a", namespace="acme", session="s")
    assert _through_pickle(client.memories)._core.session.token == "s"
    assert _through_pickle(client.memories.list())._query.page_size == 50
    batch = Batch(client._core, "k")
    batch.create("x")
    assert _through_pickle(batch)._operations == batch._operations


def test_a_copied_client_of_one_event_loop_works_in_another() -> None:
    client = AsyncSpine("http://127.0.0.1:1", namespace="acme", attempts=1)

    async def fail(client: AsyncSpine) -> None:
        async with client:
            with pytest.raises(errors.ConnectionFailed):
                await client.memories.get("t-1")

    asyncio.run(fail(client))
    asyncio.run(fail(copy.deepcopy(client)))


def test_every_public_struct_is_among_the_examples() -> None:
    shown = {type(model) for model in _models()}
    found = {
        kind
        for kind in vars(models).values()
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct)
    }
    assert found - shown <= {models.MergedToken}
