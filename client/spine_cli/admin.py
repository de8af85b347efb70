"""The admin plane of the nodes, as the operator's part needs it (operator.md §5.1).

No answer and a wrong answer are the same: nothing is known about that node.
"""

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from memory_spine.core import failure_of
from memory_spine.effects import Answer, Request, Transport
from memory_spine.errors import SpineError, UnexpectedAnswer
from spine_core.errors import InvalidInputError
from spine_core.planning.observed_stores import Reports
from spine_core.planning.reports import Report
from spine_core.topology.document import Document, Seat

TIMEOUT_S = 2.0  # a node that needs longer for its status is not well
ASKED_AT_ONCE = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Nodes:
    """Nodes at addresses `host:port`, asked with the admin credential."""

    transport: Transport
    token: str
    scheme: str  # http or https

    def reports(self, addresses: Mapping[Seat, str]) -> Reports:
        """Ask all nodes at once; None where there is no usable answer."""
        if not addresses:
            return {}
        with ThreadPoolExecutor(min(len(addresses), ASKED_AT_ONCE)) as threads:
            return dict(zip(addresses, threads.map(self._report, addresses.values()), strict=True))

    def document(self, address: str, store_id: str) -> Document:
        """Return the document that the node follows.

        Raises:
            SpineError: no answer, or a refusal.
            InvalidInputError: the answer is no document.
        """
        answer = self._call("GET", address, "topology", store_id=store_id)
        return Document.from_json(_json_of(address, answer))

    def adopt(self, address: str, store_id: str, document: Document) -> None:
        """Return after the store has durably adopted the document.

        Raises:
            SpineError: no answer, a refusal, or another document was adopted.
        """
        body = document.canonical()
        answer = self._call("PUT", address, "topology", store_id=store_id, body=body)
        adopted = _json_of(address, answer)
        if (adopted.get("epoch"), adopted.get("digest")) != (document.epoch, document.digest()):
            raise UnexpectedAnswer(address, answer.status, "having adopted another document")

    def _report(self, address: str) -> Report | None:
        try:
            return Report.from_json(_json_of(address, self._call("GET", address, "status")))
        except (SpineError, InvalidInputError):
            return None

    def _call(
        self, method: str, address: str, call: str, *, store_id: str = "", body: bytes | None = None
    ) -> Answer:
        headers = {"Authorization": f"Bearer {self.token}"}
        if store_id:
            headers["Spine-Store"] = store_id
        if body is not None:
            headers["Content-Type"] = "application/json"
        url = f"{self.scheme}://{address}/admin/v1/{call}"
        answer = self.transport.send(
            Request(method=method, url=url, headers=headers, body=body, timeout_s=TIMEOUT_S)
        )
        failure = failure_of(url, answer)
        if failure is not None:
            raise failure
        return answer


def _json_of(address: str, answer: Answer) -> dict[str, object]:
    try:
        value = json.loads(answer.body)
    except ValueError as error:
        raise UnexpectedAnswer(address, answer.status, "without JSON") from error
    if not isinstance(value, dict):
        raise UnexpectedAnswer(address, answer.status, "without a JSON object")
    return value
