"""Mutants of the coordinator of reads: majorities, write-backs, sessions, witnesses of a miss."""

from mutants.mutant import Mutant

READS = "tests/simulation/test_reads.py"


def _reading(old: str, new: str, killed_by: str) -> Mutant:
    return Mutant(
        file="node_image/spine_node/engine/coordinator/read.py",
        old=old,
        new=new,
        killed_by=f"{READS}::{killed_by}",
    )


MUTANTS = [
    # a majority, written back before it is shown
    _reading(
        "            await self._write_back(target, view, newest.raw, holders)\n",
        "            pass\n",
        "test_a_quorum_read_shows_nothing_that_a_later_one_misses",
    ),
    _reading(
        "            if read_done(view.placement, target.slot, copies.keys()):\n"
        "                return copies\n",
        "            if copies:\n                return copies\n",
        "test_without_a_session_the_latest_write_is_found_by_a_quorum",
    ),
    _reading(
        "copy.version >= need if copy is not None else need == ABSENT",
        "True",
        "test_an_eventual_read_may_be_stale_and_no_other_is",
    ),
    _reading(
        "request.session.o > self._stable.of(self._view(), target.slot)",
        "False",
        "test_an_own_write_that_the_token_has_forgotten_is_found_by_a_quorum",
    ),
    _reading(
        "{ReplicaStatus.OK, ReplicaStatus.SUPERSEDED, ReplicaStatus.LATE}",
        "{ReplicaStatus.OK, ReplicaStatus.SUPERSEDED}",
        "test_a_write_back_to_who_has_purged_the_tombstone_is_done",
    ),
    _reading(
        "        if not write_done(view.placement, target.slot, holders):\n"
        "            raise NotAnsweredError\n",
        "",
        "test_what_cannot_be_written_back_is_not_shown",
    ),
    _reading(
        "session.saw(hlc_of(record.version)) if record else session",
        "session",
        "test_a_session_has_seen_what_it_was_shown",
    ),
    # as many replicas as the cluster, the tags of the record and a miss ask for
    _reading(
        "MISS_WITNESSES = 2 ",
        "MISS_WITNESSES = 1 ",
        "test_a_miss_is_believed_only_if_a_second_replica_misses_too",
    ),
    _reading(
        "max(self._configuration().read_quorum, witnesses)",
        "witnesses",
        "test_an_eventual_read_asks_as_many_replicas_as_the_cluster_says",
    ),
    _reading(
        "if ORDER.index(asked) > ORDER.index(model):",
        "if False:",
        "test_a_record_whose_tags_ask_for_more_is_read_at_that_model",
    ),
    # a floor above an own deletion is an answer to it
    _reading(
        "if reached or (need != ABSENT and floor >= hlc_of(need)):",
        "if reached:",
        "test_an_own_deletion_that_is_purged_needs_no_quorum",
    ),
]
