"""The admin plane: it says which store it means, and every call may be repeated."""

from typing import Any

import pytest

from spine_core.problems import PROBLEMS
from unit.http.harness import ADMIN_TOKEN, Answer, HttpHarness
from unit.http.memory_engine import MemoryOperations

CALLS: list[tuple[str, str, Any]] = [
    ("GET", "topology", None),
    ("PUT", "topology", {"epoch": 1}),
    ("POST", "drain", None),
    ("DELETE", "drain", None),
    ("POST", "resign", None),
    ("PUT", "pace", {"bytes_per_s": 1, "slots": 1}),
    ("GET", "records/acme/n", None),
]


async def ask(
    harness: HttpHarness, method: str, path: str, body: Any = None, store: str = ""
) -> Answer:
    headers = {"Spine-Store": store or MemoryOperations.STORE}
    return await harness.ask(method, f"/admin/v1/{path}", body, headers=headers, key=ADMIN_TOKEN)


@pytest.mark.parametrize(("method", "path", "body"), CALLS)
async def test_a_call_for_another_store_is_misdirected(
    harness: HttpHarness, method: str, path: str, body: Any
) -> None:
    harness.operations.document = b'{"epoch":1}'
    answer = await ask(harness, method, path, body, store="another")
    assert (answer.status, answer.code) == (421, "misdirected")
    nameless = await harness.ask(method, f"/admin/v1/{path}", body, key=ADMIN_TOKEN)
    assert nameless.status == 400
    operations = harness.operations
    assert (operations.draining, operations.resigned, operations.pace[1]) == (False, False, 4)
    assert operations.document == b'{"epoch":1}'


async def test_the_status_needs_no_store_and_shows_slots_on_request(harness: HttpHarness) -> None:
    short = await harness.ask("GET", "/admin/v1/status", key=ADMIN_TOKEN)
    long = await harness.ask("GET", "/admin/v1/status?slots=1", key=ADMIN_TOKEN)
    assert short.json == {"wire": 1, "seat": "spine-1"}
    assert long.json["slots"] == {"17": [1, 2]}


async def test_a_topology_is_adopted_and_read_back(harness: HttpHarness) -> None:
    assert (await ask(harness, "GET", "topology")).status == 404
    for _ in range(2):
        answer = await ask(harness, "PUT", "topology", b'{"epoch": 42}')
        assert (answer.status, answer.json) == (200, {"epoch": 42, "digest": "d1"})
    assert (await ask(harness, "GET", "topology")).body == b'{"epoch": 42}'


async def test_a_refused_topology_tells_the_epoch_that_is_here(harness: HttpHarness) -> None:
    answer = await ask(harness, "PUT", "topology", {"epoch": 0})
    assert (answer.status, answer.code, answer.json["epoch"]) == (409, "stale-epoch", 1)
    assert (await ask(harness, "PUT", "topology", b"no json")).status == 422


async def test_a_drain_goes_on_and_off(harness: HttpHarness) -> None:
    assert (await ask(harness, "POST", "drain")).json == {"draining": True, "in_flight": 0}
    assert harness.operations.draining
    assert (await ask(harness, "DELETE", "drain")).json == {"draining": False, "in_flight": 0}
    assert not harness.operations.draining


async def test_a_resignation_is_accepted(harness: HttpHarness) -> None:
    assert (await ask(harness, "POST", "resign")).status == 202
    assert harness.operations.resigned


async def test_a_pace_is_set_and_repeated(harness: HttpHarness) -> None:
    pace = {"bytes_per_s": 1000, "slots": 0}
    assert (await ask(harness, "PUT", "pace", pace)).json == pace
    assert harness.operations.pace == (1000, 0)
    for wrong in ({"bytes_per_s": -1, "slots": 0}, {"slots": 4097, "bytes_per_s": 1}, {}):
        assert (await ask(harness, "PUT", "pace", wrong)).status == 422


async def test_a_copy_is_shown_even_under_a_server_name(harness: HttpHarness) -> None:
    harness.operations.copies["acme._leases", "deploy"] = {"version": "v", "flags": 0}
    answer = await ask(harness, "GET", "records/acme._leases/deploy")
    assert answer.json == {"version": "v", "flags": 0}
    assert (await ask(harness, "GET", "records/acme/none")).status == 404
    assert (await ask(harness, "GET", "records/acme/a%20b")).status == 422


@pytest.mark.parametrize("method", ["PUT", "GET", "DELETE"])
async def test_jobs_are_reserved(harness: HttpHarness, method: str) -> None:
    answer = await ask(harness, method, "jobs/j-1")
    assert answer.status == PROBLEMS["not-implemented"].status
