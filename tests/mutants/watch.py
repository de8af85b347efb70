"""Mutants of watches: the low-water mark of cursors, what is news, where another store is read from."""

from mutants.mutant import Mutant

CURSOR = "node_image/spine_core/replication/watch_cursor.py"
MODEL = "tests/models/test_watch.py::test_every_write_is_delivered_and_no_version_goes_back"
UNIT = "tests/unit/core/replication/test_watch_cursor.py"


def _cursor(old: str, new: str, killed_by: str, *, within: str = "") -> Mutant:
    return Mutant(
        file=CURSOR,
        within=within,
        old=old,
        new=new,
        killed_by=f"{UNIT}::{killed_by}" if killed_by.startswith("test_") else killed_by,
    )


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
]
