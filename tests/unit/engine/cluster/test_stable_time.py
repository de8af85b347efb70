"""Stable time follows from rows of the present epoch, the worst of all pairs."""

from spine_core.records.hlc import MAX_DRIFT_MS, MAX_WRITE_MS
from spine_core.records.versions import hlc_from_ms
from spine_core.scalars import Slot, StoreNumber
from spine_core.topology.document import Document
from spine_core.topology.placement import Placement
from spine_node.engine.cluster.stable_time import StableTimes
from spine_node.engine.cluster.topology_view import MemberView
from unit.engine.harness import NOW_MS, OTHER, document_for, joining_store

MARGIN_MS = MAX_WRITE_MS + MAX_DRIFT_MS
NEWCOMER = "88888888-8888-4888-8888-888888888888"
SLOT = Slot(0)


def view_of(document: Document) -> MemberView:
    return MemberView(
        document=document, placement=Placement(document), digest="", number=StoreNumber(1)
    )


def pull_all(stable: StableTimes, numbers: range, epoch: int, ms: int = 0) -> None:
    """Let every store have pulled from every other at a moment."""
    stores = [StoreNumber(number) for number in numbers]
    for reader in stores:
        row = {source: hlc_from_ms(NOW_MS + ms) for source in stores if source != reader}
        stable.put_row(reader, epoch, row)


def test_stable_time_is_the_oldest_pull_less_the_life_of_a_write() -> None:
    stable, view = StableTimes(), view_of(document_for(OTHER))
    pull_all(stable, range(1, 4), epoch=1)
    assert stable.of(view, SLOT) == hlc_from_ms(NOW_MS - MARGIN_MS)
    pull_all(stable, range(1, 4), epoch=1, ms=500)
    stable.put_row(
        StoreNumber(2),
        1,
        {StoreNumber(1): hlc_from_ms(NOW_MS + 500), StoreNumber(3): hlc_from_ms(NOW_MS + 200)},
    )
    assert stable.of(view, SLOT) == hlc_from_ms(NOW_MS + 200 - MARGIN_MS)


def test_one_pair_that_has_not_pulled_holds_everything() -> None:
    stable, view = StableTimes(), view_of(document_for(OTHER))
    pull_all(stable, range(1, 4), epoch=1)
    stable.put_row(StoreNumber(3), 1, {StoreNumber(1): hlc_from_ms(NOW_MS)})
    assert stable.of(view, SLOT) == 0


def test_a_row_counts_only_under_the_epoch_in_which_it_was_pulled() -> None:
    stable, before = StableTimes(), view_of(document_for(OTHER))
    pull_all(stable, range(1, 4), epoch=1)
    assert stable.of(before, SLOT) > 0
    after = view_of(joining_store(before.document, NEWCOMER))
    stable.forget()
    kept = next(s for s in after.placement.slots if len(after.placement.write_set(s)) == 3)
    assert stable.of(after, kept) == 0
    pull_all(stable, range(1, 5), epoch=2)
    assert stable.of(after, kept) == hlc_from_ms(NOW_MS - MARGIN_MS)
