"""The document that the node makes of its own types is the contract, as far as it is built."""

import json
from typing import Any

import pytest
from openapi_spec_validator import validate

from contract.contracts import Plain, contract
from spine_node.http.openapi import document
from spine_node.http.reserved import RESERVED
from spine_node.http.routes import routes

MADE: dict[str, Any] = json.loads(json.dumps(document(routes("0.1.0"), "0.1.0")))
OURS = Plain(MADE)
THEIRS = Plain(contract())
BUILT = sorted(OURS.operations())
IDS = [f"{method} {path}" for method, path in BUILT]

NOT_IMPLEMENTED = "501"  # an operation may say that a part of it comes later

each_operation = pytest.mark.parametrize(("method", "path"), BUILT, ids=IDS)


def test_both_documents_are_valid_openapi() -> None:
    validate(MADE)
    validate(contract())


def test_every_promised_operation_is_either_built_or_reserved() -> None:
    reserved = {(route.method.lower(), route.path) for route in RESERVED}
    assert not reserved & set(BUILT)
    assert reserved | set(BUILT) == set(THEIRS.operations())


@each_operation
def test_an_operation_has_the_promised_name(method: str, path: str) -> None:
    ours, theirs = OURS.operation(method, path), THEIRS.operation(method, path)
    assert ours["operationId"] == theirs["operationId"]
    assert ours["tags"] == theirs["tags"]


@each_operation
def test_an_operation_has_the_promised_parameters(method: str, path: str) -> None:
    assert OURS.parameters(method, path) == THEIRS.parameters(method, path)


@each_operation
def test_an_operation_has_the_promised_answers(method: str, path: str) -> None:
    assert OURS.statuses(method, path) - {NOT_IMPLEMENTED} == THEIRS.statuses(method, path)
    for status in THEIRS.statuses(method, path):
        assert OURS.answer(method, path, status) == THEIRS.answer(method, path, status)


@each_operation
def test_a_body_has_the_promised_fields_and_limits(method: str, path: str) -> None:
    assert OURS.request_body(method, path) == THEIRS.request_body(method, path)
