"""Calls of a node's admin plane: what is sent, and what an answer proves. Pure.

Three drivers send them: the operator, `spine topology`, and the first node of a static cluster. Each has
its own transport; none of them builds a request or reads an answer by itself. Source: operator.md §5.1.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from spine_core.errors import InvalidInputError
from spine_core.planning.reports import Report
from spine_core.topology.document import Document

TIMEOUT_S = 2.0  # a node that needs longer for its status is not well
PREFIX = "/admin/v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminCall:
    """One request, up to the address. Repeating any of them is harmless."""

    method: str
    path: str
    headers: Mapping[str, str] = field(repr=False)  # with the credential
    body: bytes | None = None


def get_status(token: str) -> AdminCall:
    """Ask a node for its report."""
    return _call("GET", "status", token)


def get_topology(token: str, store_id: str) -> AdminCall:
    """Ask a store for the document that it follows."""
    return _call("GET", "topology", token, store_id)


def put_topology(token: str, store_id: str, document: Document) -> AdminCall:
    """Tell a store to adopt a document; it answers when it has done so durably."""
    return _call("PUT", "topology", token, store_id, document.canonical())


def put_pace(token: str, store_id: str, *, bytes_per_s: int, slots: int) -> AdminCall:
    """Bound the pulls of a store; 0 slots suspend those of a change."""
    body = b'{"bytes_per_s":%d,"slots":%d}' % (bytes_per_s, slots)
    return _call("PUT", "pace", token, store_id, body)


def parse_object(body: bytes) -> dict[str, Any]:
    """Read an answer.

    Raises:
        InvalidInputError: it is no JSON object.
    """
    try:
        value = json.loads(body)
    except ValueError as error:
        raise InvalidInputError("the answer is not JSON") from error
    if not isinstance(value, dict):
        raise InvalidInputError("the answer is no JSON object")
    return value


def parse_report(body: bytes) -> Report:
    """Read the answer of `get_status`.

    Raises:
        InvalidInputError: it is no report.
    """
    return Report.from_json(parse_object(body))


def parse_topology(body: bytes) -> Document:
    """Read the answer of `get_topology`.

    Raises:
        InvalidInputError: it is no document.
    """
    return Document.from_json(parse_object(body))


def check_adopted(body: bytes, document: Document) -> None:
    """Check the answer of `put_topology`: the store has adopted this document and no other.

    Raises:
        InvalidInputError: it says something else.
    """
    answer = parse_object(body)
    if (answer.get("epoch"), answer.get("digest")) != (document.epoch, document.digest()):
        raise InvalidInputError("the node says that it adopted another document")


def _call(
    method: str, call: str, token: str, store_id: str = "", body: bytes | None = None
) -> AdminCall:
    headers = {"Authorization": f"Bearer {token}"}
    if store_id:
        headers["Spine-Store"] = store_id
    if body is not None:
        headers["Content-Type"] = "application/json"
    return AdminCall(method=method, path=f"{PREFIX}/{call}", headers=headers, body=body)
