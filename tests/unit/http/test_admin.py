"""The admin plane: it says which store it means, and every call may be repeated."""

from typing import Any

import pytest

from spine_core.problems import PROBLEMS
from unit.http.edges import ADMIN_TOKEN, Answer, Desk
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


async def ask(desk: Desk, method: str, path: str, body: Any = None, store: str = "") -> Answer:
    headers = {"Spine-Store": store or MemoryOperations.STORE}
    return await desk.ask(method, f"/admin/v1/{path}", body, headers=headers, key=ADMIN_TOKEN)


@pytest.mark.parametrize(("method", "path", "body"), CALLS)
async def test_a_call_for_another_store_is_misdirected(
    desk: Desk, method: str, path: str, body: Any
) -> None:
    desk.operations.document = b'{"epoch":1}'
    answer = await ask(desk, method, path, body, store="another")
    assert (answer.status, answer.code) == (421, "misdirected")
    nameless = await desk.ask(method, f"/admin/v1/{path}", body, key=ADMIN_TOKEN)
    assert nameless.status == 400
    operations = desk.operations
    assert (operations.draining, operations.resigned, operations.pace[1]) == (False, False, 4)
    assert operations.document == b'{"epoch":1}'


async def test_the_status_needs_no_store_and_shows_slots_on_request(desk: Desk) -> None:
    short = await desk.ask("GET", "/admin/v1/status", key=ADMIN_TOKEN)
    long = await desk.ask("GET", "/admin/v1/status?slots=1", key=ADMIN_TOKEN)
    assert short.json == {"wire": 1, "seat": "spine-1"}
    assert long.json["slots"] == {"17": [1, 2]}


async def test_a_topology_is_adopted_and_read_back(desk: Desk) -> None:
    assert (await ask(desk, "GET", "topology")).status == 404
    for _ in range(2):
        answer = await ask(desk, "PUT", "topology", b'{"epoch": 42}')
        assert (answer.status, answer.json) == (200, {"epoch": 42, "digest": "d1"})
    assert (await ask(desk, "GET", "topology")).body == b'{"epoch": 42}'


async def test_a_refused_topology_tells_the_epoch_that_is_here(desk: Desk) -> None:
    answer = await ask(desk, "PUT", "topology", {"epoch": 0})
    assert (answer.status, answer.code, answer.json["epoch"]) == (409, "stale-epoch", 1)
    assert (await ask(desk, "PUT", "topology", b"no json")).status == 422


async def test_a_drain_goes_on_and_off(desk: Desk) -> None:
    assert (await ask(desk, "POST", "drain")).json == {"draining": True, "in_flight": 0}
    assert desk.operations.draining
    assert (await ask(desk, "DELETE", "drain")).json == {"draining": False, "in_flight": 0}
    assert not desk.operations.draining


async def test_a_resignation_is_accepted(desk: Desk) -> None:
    assert (await ask(desk, "POST", "resign")).status == 202
    assert desk.operations.resigned


async def test_a_pace_is_set_and_repeated(desk: Desk) -> None:
    pace = {"bytes_per_s": 1000, "slots": 0}
    assert (await ask(desk, "PUT", "pace", pace)).json == pace
    assert desk.operations.pace == (1000, 0)
    for wrong in ({"bytes_per_s": -1, "slots": 0}, {"slots": 4097, "bytes_per_s": 1}, {}):
        assert (await ask(desk, "PUT", "pace", wrong)).status == 422


async def test_a_copy_is_shown_even_under_a_server_name(desk: Desk) -> None:
    desk.operations.copies["acme._leases", "deploy"] = {"version": "v", "flags": 0}
    answer = await ask(desk, "GET", "records/acme._leases/deploy")
    assert answer.json == {"version": "v", "flags": 0}
    assert (await ask(desk, "GET", "records/acme/none")).status == 404
    assert (await ask(desk, "GET", "records/acme/a%20b")).status == 422


@pytest.mark.parametrize("method", ["PUT", "GET", "DELETE"])
async def test_jobs_are_reserved(desk: Desk, method: str) -> None:
    answer = await ask(desk, method, "jobs/j-1")
    assert answer.status == PROBLEMS["not-implemented"].status
