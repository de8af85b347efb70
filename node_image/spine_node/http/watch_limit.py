"""How many watches one credential has open on this node."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from spine_core.errors import ProblemError
from spine_node.http.identity import Principal
from spine_node.http.limits import WATCHES_MAX

RETRY_AFTER_MS = 1000


class WatchLimit:
    """Counts open watches, long polls among them."""

    def __init__(self) -> None:
        self._open: Counter[str] = Counter()

    @contextmanager
    def one_more(self, principal: Principal) -> Iterator[None]:
        """Count a watch for as long as it is open.

        Raises:
            ProblemError: `rate-limited`, the credential has enough of them.
        """
        name = principal.key_id or ""
        if self._open[name] >= WATCHES_MAX:
            detail = f"a credential may have {WATCHES_MAX} watches on one node"
            raise ProblemError("rate-limited", detail, retry_after_ms=RETRY_AFTER_MS)
        self._open[name] += 1
        try:
            yield
        finally:
            self._open[name] -= 1
            if not self._open[name]:
                del self._open[name]
