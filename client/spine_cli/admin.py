"""The admin plane of the nodes, as the operator's part needs it (operator.md §5.1).

No answer and a wrong answer are the same: nothing is known about that node.
"""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from memory_spine.core import failure_of
from memory_spine.effects import Answer, Request, Transport
from memory_spine.errors import SpineError, UnexpectedAnswer
from spine_core.admin_plane import (
    TIMEOUT_S,
    AdminCall,
    check_adopted,
    get_status,
    get_topology,
    parse_report,
    parse_topology,
    put_topology,
)
from spine_core.errors import InvalidInputError
from spine_core.planning.observed_stores import Reports
from spine_core.planning.reports import Report
from spine_core.topology.document import Document, Seat

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
        return parse_topology(self._send(address, get_topology(self.token, store_id)).body)

    def adopt(self, address: str, store_id: str, document: Document) -> None:
        """Return after the store has durably adopted the document.

        Raises:
            SpineError: no answer, a refusal, or another document was adopted.
        """
        answer = self._send(address, put_topology(self.token, store_id, document))
        try:
            check_adopted(answer.body, document)
        except InvalidInputError as error:
            raise UnexpectedAnswer(address, answer.status, str(error)) from error

    def _report(self, address: str) -> Report | None:
        try:
            return parse_report(self._send(address, get_status(self.token)).body)
        except (SpineError, InvalidInputError):
            return None

    def _send(self, address: str, call: AdminCall) -> Answer:
        url = f"{self.scheme}://{address}{call.path}"
        answer = self.transport.send(
            Request(
                method=call.method,
                url=url,
                headers=call.headers,
                body=call.body,
                timeout_s=TIMEOUT_S,
            )
        )
        failure = failure_of(url, answer)
        if failure is not None:
            raise failure
        return answer
