"""Mutants of watches: the low-water mark of cursors, what is news, where other stores are read from."""

from mutants.mutant import Mutant

CURSOR = "node_image/spine_core/replication/watch_cursor.py"
MODEL = "tests/models/test_watch.py::test_every_write_is_delivered_and_no_version_goes_back"
UNIT = "tests/unit/core/replication/test_watch_cursor.py"
WATCH = "tests/unit/engine/watch/test_watch.py"
SERVER = "tests/unit/engine/watch/test_feed_server.py"


def _cursor(old: str, new: str, killed_by: str, *, within: str = "") -> Mutant:
    return Mutant(
        file=CURSOR,
        within=within,
        old=old,
        new=new,
        killed_by=f"{UNIT}::{killed_by}" if killed_by.startswith("test_") else killed_by,
    )


def _engine(module: str, old: str, new: str, killed_by: str) -> Mutant:
    file = f"node_image/spine_node/engine/watch/{module}.py"
    return Mutant(file=file, old=old, new=new, killed_by=killed_by)


MUTANTS = [
    # another store is read from H, not from how far replicas have pulled meanwhile
    _cursor(
        "return ReadFrom(source.position, self.low)",
        "return ReadFrom(source.position, max(self.low, stable))",
        f"{MODEL}[one write]",
    ),
    Mutant(
        file="node_image/spine_core/replication/stable_time.py",
        old="Hlc(oldest - _MARGIN)",
        new="Hlc(oldest)",
        killed_by=f"{MODEL}[one write]",
    ),
    # H moves when a feed was read to its head, and only once all of that was shown
    _cursor("        if at_head:\n", "        if True:\n", f"{MODEL}[two records]"),
    _cursor(
        "        source = self.sources[store]\n",
        "        source = self.sources[store]\n        self.low = max(self.low, source.asked)\n",
        f"{MODEL}[one write]",
        within="WatchProgress.take",
    ),
    # what is dropped: up to H, and what is older than shown
    _cursor(
        "hlc_of(version) > self.low and",
        "hlc_of(version) > max(self.low, *map(hlc_of, self.shown.values()), 0) and",
        f"{MODEL}[two records]",
    ),
    _cursor(
        " and version > self.shown.get(key, ABSENT)",
        "",
        f"{MODEL}[two writes of one record]",
    ),
    _cursor(
        "hlc_of(version) > self.low and ",
        "",
        "test_a_store_that_joins_the_sources_shows_nothing_from_before_h",
    ),
    _cursor(
        "return not anew or self.forgotten <= self.low",
        "return True",
        "test_a_watch_that_has_forgotten_what_it_showed_cannot_go_over_in_order",
    ),
    # sources: exact only where they were followed for all of their slots, H only where all slots have one
    _cursor(
        "slots & ~before.slots == 0",
        "True",
        "test_a_store_that_gets_more_slots_is_read_from_h_again",
    ),
    _cursor(
        "if self.complete and low > self.low:",
        "if low > self.low:",
        "test_h_stands_still_while_a_slot_has_no_source",
    ),
    _cursor(
        "    if cursor.epoch == epoch:\n",
        "    if True:\n",
        "test_a_cursor_of_another_epoch_goes_on_from_h_alone",
    ),
    _cursor(
        "low = min(source.low for source in self.sources.values())",
        "low = max(source.low for source in self.sources.values())",
        "test_h_is_what_all_sources_have_reached",
    ),
    # stable time is taken before the read, never when its answer is there
    _engine(
        "watch",
        "        self._failing.pop(store, None)\n",
        "        self._failing.pop(store, None)\n"
        "        self._progress.ask(store, self._feeds.stable(self._view))\n",
        f"{WATCH}::test_h_is_the_stable_time_before_the_feed_was_read",
    ),
    # a damaged copy is no deletion, and nobody goes on beyond one that cannot be read
    _engine(
        "watch",
        "found = await self._parts.reads.quorum(namespace, memory_id, deadline)",
        "found = None if deadline else await self._parts.reads.quorum(namespace, memory_id, deadline)",
        f"{WATCH}::test_a_damaged_copy_is_read_by_quorum_and_is_never_a_deletion",
    ),
    # a watch that cannot keep the order ends
    _engine(
        "watch",
        "self._ended |= not self._follow()\n        return False",
        "self._follow()\n        return False",
        f"{WATCH}::test_a_watch_that_cannot_keep_the_order_ends",
    ),
    _engine(
        "watch",
        "            return await self._reset()\n        self._failing.pop(store, None)",
        "            return Changes(cursor=self.cursor)\n        self._failing.pop(store, None)",
        f"{WATCH}::test_a_feed_that_no_longer_leads_on_is_a_reset",
    ),
    # the serving half: its own epoch, its own slots, newest versions alone, and nothing is skipped
    _engine(
        "feed_server",
        "        self._replica.check_epoch(epoch)\n",
        "",
        f"{SERVER}::test_a_call_of_another_epoch_is_refused",
    ),
    _engine(
        "feed_server",
        "covered and bool(self._slots >> slot_of_key(key) & 1)",
        "covered",
        f"{SERVER}::test_slots_that_are_followed_elsewhere_are_left_out",
    ),
    _engine(
        "feed_server",
        "if raw is not None and version_in(raw) != entry.version:",
        "if False:",
        f"{SERVER}::test_a_record_that_has_changed_again_is_left_to_its_later_entry",
    ),
    _engine(
        "feed_tail",
        "elif not waiter.woken.is_set():",
        "else:",
        f"{SERVER}::test_a_wait_that_is_over_is_not_moved_beyond_what_ended_it",
    ),
    Mutant(
        file="node_image/spine_node/store/feed.py",
        old="return 0 if oldest_position(cursor) == 0 else None",
        new="return 0",
        killed_by="tests/unit/store/test_feed.py::"
        "test_a_time_before_the_oldest_entry_that_is_kept_leads_nowhere",
    ),
]
