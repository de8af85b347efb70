"""What a node tells the person who started it: that it serves, or why it does not serve yet."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from spine_node.clock import Clock

Announce = Callable[[str, Path, str | None], None]
"""(URL, directory of the store, why the node is not ready): None when it serves."""

PATIENCE_S: Final = 1.0  # a node that is alone is ready sooner; no need to say that it is not
POLL_S: Final = 0.05


class Readiness:
    """Tells once when the node serves, and before that, why it does not, whenever that changes."""

    def __init__(
        self,
        clock: Clock,
        unready: Callable[[], str | None],
        has_document: Callable[[], bool],
        document_from: str,
    ) -> None:
        self._clock = clock
        self._unready = unready
        self._has_document = has_document
        self._no_document = f"waiting for the topology document, which comes from {document_from}"

    def waits_for_nodes(self, message: str) -> None:
        """Hear why this node, which has to make the document, cannot make it yet."""
        self._no_document = message

    async def announce(self, say: Callable[[str | None], None]) -> None:
        """Say why the node is not ready, and at last None: it serves."""
        began = self._clock.now()
        said: str | None = None
        while (reason := self._reason()) is not None:
            if reason != said and self._clock.now() - began >= PATIENCE_S:
                say(reason)
                said = reason
            await self._clock.sleep(POLL_S)
        say(None)

    def _reason(self) -> str | None:
        reason = self._unready()
        return reason if reason is None or self._has_document() else self._no_document
