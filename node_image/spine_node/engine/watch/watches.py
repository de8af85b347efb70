"""The watches of one node: opened here, counted, and held to the clock."""

from collections.abc import Sequence

from spine_core.errors import ProblemError
from spine_core.replication.watch_cursor import WatchProgress, open_cursor, progress_at
from spine_node.engine.query.coverage import slots_read_from
from spine_node.engine.watch.feed_server import FeedEdge
from spine_node.engine.watch.watch import OpenWatch, WatchParts
from spine_node.ports import WatchRequest


class Watches:
    """Opens watches; knows those that are open."""

    def __init__(self, parts: WatchParts) -> None:
        self._parts = parts
        self._open: set[OpenWatch] = set()

    @property
    def count(self) -> int:
        """How many are open."""
        return len(self._open)

    def lag_s(self) -> float:
        """Return how far the slowest of them is behind."""
        return max((watch.lag_s() for watch in self._open), default=0.0)

    async def open(self, request: WatchRequest) -> OpenWatch:
        """Open a watch; whoever asked for it closes it.

        Raises:
            ProblemError: `invalid-request` (cursor), `not-ready`, `coverage-incomplete`.
        """
        progress, edge = self._begin(request, self._parts.cursor_keys())
        watch = OpenWatch(self._parts, request, progress, edge, self._open.discard)
        self._open.add(watch)
        try:
            await watch.begin(request.deadline)
        except BaseException:
            await watch.close()
            raise
        return watch

    def _begin(
        self, request: WatchRequest, keys: Sequence[bytes]
    ) -> tuple[WatchProgress, FeedEdge]:
        """Return where a watch begins.

        H of `now` is taken before the heads of the feeds are: what is stamped up to it is everywhere.
        """
        view = self._parts.feeds.view()
        text = request.since if request.last_event_id is None else request.last_event_id
        if text == "now":
            return WatchProgress(self._parts.feeds.stable(view)), FeedEdge.HEAD
        if text == "beginning":
            return WatchProgress(), FeedEdge.OLDEST
        cursor = open_cursor(text, keys)
        if cursor is None:
            path = "since" if request.last_event_id is None else "Last-Event-ID"
            errors = ((path, "must be now, beginning or a cursor that this cluster has made"),)
            raise ProblemError("invalid-request", "the cursor is not valid", errors=errors)
        held = slots_read_from(view.placement)
        return progress_at(cursor, view.epoch, held), FeedEdge.AFTER
