"""Calls of the admin plane: what they carry, and which answers prove something."""

import json

import pytest

from models.clusters import document
from spine_core.admin_plane import (
    AdminCall,
    check_adopted,
    get_status,
    get_topology,
    parse_object,
    parse_report,
    parse_topology,
    put_pace,
    put_topology,
)
from spine_core.errors import InvalidInputError

THREE = document("a0 b0 c0")
STORE = THREE.stores[min(THREE.stores)].id
ADOPTED = {"epoch": THREE.epoch, "digest": THREE.digest()}


@pytest.mark.parametrize(
    ("call", "method", "path"),
    [
        (get_status("t"), "GET", "/admin/v1/status"),
        (get_topology("t", STORE), "GET", "/admin/v1/topology"),
        (put_topology("t", STORE, THREE), "PUT", "/admin/v1/topology"),
        (put_pace("t", STORE, bytes_per_s=7, slots=0), "PUT", "/admin/v1/pace"),
    ],
)
def test_a_call_names_its_credential_and_all_but_status_the_store(
    call: AdminCall, method: str, path: str
) -> None:
    assert (call.method, call.path) == (method, path)
    assert call.headers["Authorization"] == "Bearer t"
    assert call.headers.get("Spine-Store") == (None if path.endswith("status") else STORE)
    assert ("Content-Type" in call.headers) == (call.body is not None)
    assert "Bearer" not in repr(call)


def test_bodies_are_what_the_node_reads() -> None:
    assert parse_topology(put_topology("t", STORE, THREE).body or b"") == THREE
    assert parse_object(put_pace("t", STORE, bytes_per_s=7, slots=0).body or b"") == {
        "bytes_per_s": 7,
        "slots": 0,
    }


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"null", b"\xff"])
def test_an_answer_of_somebody_else_proves_nothing(body: bytes) -> None:
    for parse in (parse_object, parse_report, parse_topology):
        with pytest.raises(InvalidInputError):
            parse(body)
    with pytest.raises(InvalidInputError):
        check_adopted(body, THREE)


@pytest.mark.parametrize("change", [{"epoch": 2}, {"digest": "0" * 64}, {"epoch": None}])
def test_only_this_very_document_counts_as_adopted(change: dict[str, object]) -> None:
    check_adopted(json.dumps(ADOPTED).encode(), THREE)
    with pytest.raises(InvalidInputError):
        check_adopted(json.dumps({**ADOPTED, **change}).encode(), THREE)
