"""Mutants of reads: majorities, write-backs, sessions, witnesses of a miss."""

from mutants.mutant import Mutant

_UNIT = "tests/unit/core/replication"
_READ = "node_image/spine_node/engine/coordinator/read.py"
_REPLICA = "node_image/spine_node/engine/cluster/replica.py"
_READS = "tests/simulation/test_reads.py"
_COORDINATOR = "tests/unit/engine/coordinator/test_read.py"


def _tally(old: str, new: str, killed_by: str) -> Mutant:
    return Mutant(
        file="node_image/spine_core/replication/read_tally.py",
        old=old,
        new=new,
        killed_by=f"{_UNIT}/test_read_tally.py::{killed_by}",
    )


def _write_back(old: str, new: str, killed_by: str) -> Mutant:
    return Mutant(
        file="node_image/spine_core/replication/write_back_tally.py",
        old=old,
        new=new,
        killed_by=f"{_UNIT}/test_write_back_tally.py::{killed_by}",
    )


def _coordinator(old: str, new: str, killed_by: str) -> Mutant:
    return Mutant(
        file=_READ,
        old=old,
        new=new,
        killed_by=f"{_COORDINATOR}::{killed_by}",
    )


def _quorum(old: str, new: str, killed_by: str) -> Mutant:
    return Mutant(
        file="node_image/spine_node/engine/coordinator/quorum_read.py",
        old=old,
        new=new,
        killed_by=killed_by if "::" in killed_by else f"{_COORDINATOR}::{killed_by}",
    )


MUTANTS = [
    # a majority, whose newest copy is on a write quorum before it is shown
    _tally(
        "if read_done(self._placement, self._slot, self._held.keys()):",
        "if self._held:",
        "test_what_follows_from_the_answers_of_three_replicas",
    ),
    _tally(
        "if held > self.newest:",
        "if self.newest == ABSENT:",
        "test_a_quorum_read_that_ends_is_answered_only_by_a_majority_and_with_its_newest",
    ),
    _tally(
        "if write_done(self._placement, self._slot, holders):",
        "if True:",
        "test_what_less_than_a_write_quorum_holds_is_written_back",
    ),
    _tally(
        "        if status is ReplicaStatus.OK:\n",
        "        if True:\n",
        "test_what_follows_from_the_answers_of_three_replicas",
    ),
    _quorum(
        "if await self._write_back(target, view, newest.raw, holders):",
        "if True:",
        "test_what_less_than_a_write_quorum_holds_is_written_back_before_it_is_shown",
    ),
    _quorum(
        "                raise AttemptFailedError(too_few())\n",
        "                return True\n",
        "test_what_cannot_be_written_back_is_not_shown",
    ),
    _write_back(
        "if write_done(self._placement, self._slot, self._holders):",
        "if len(self._holders) >= self._placement.write_quorum:",
        "test_in_a_change_the_new_replicas_need_a_quorum_of_their_own",
    ),
    _write_back(
        "ReplicaStatus.SUPERSEDED, ReplicaStatus.LATE}",
        "ReplicaStatus.SUPERSEDED}",
        "test_a_replica_that_has_purged_the_tombstone_has_had_it",
    ),
    # a majority is asked; another for each that fails, all for one that is late, nobody twice
    _tally(
        "majority(len(self._replicas)) + len(self._failed)",
        "majority(len(self._replicas))",
        "test_so_many_are_asked_as_a_majority_takes_and_another_for_each_that_fails",
    ),
    _tally(
        "self._asked = max(begin, min(len(self._replicas), wanted))",
        "self._asked = min(len(self._replicas), wanted)",
        "test_where_one_is_late_all_others_can_be_asked",
    ),
    _quorum(
        "        if others := self._tally.rest():\n            self._ask(others)\n",
        "",
        f"{_READS}::test_where_one_is_late_another_is_asked_and_from_then_on_first",
    ),
    _quorum(
        "            self._replicas.note(store, waited_s)\n",
        "            pass\n",
        f"{_READS}::test_where_one_is_late_another_is_asked_and_from_then_on_first",
    ),
    _quorum(
        "        elif more := self._tally.next():  # one has failed\n            self._ask(more)\n",
        "",
        f"{_READS}::test_where_one_refuses_another_is_asked_at_once",
    ),
    # a version alone vouches only for a whole copy that is not newer than the caller's
    Mutant(
        file=_REPLICA,
        old=" and is_whole(raw, checksum)",
        new="",
        killed_by=f"{_READS}::test_a_version_does_not_vouch_for_a_damaged_copy",
    ),
    Mutant(
        file=_REPLICA,
        old="version_in(raw) <= call.known and ",
        new="call.known != ABSENT and ",
        killed_by=f"{_READS}::test_without_a_session_the_latest_write_is_found_by_a_quorum",
    ),
    # damage ends a read only where all other replicas together are too few
    _tally(
        "hopeless = not read_possible(self._placement, self._slot, self._damaged)",
        "hopeless = not read_possible(self._placement, self._slot, self._failed)",
        "test_damage_is_without_hope_only_where_all_others_are_too_few",
    ),
    # one replica: at or above the own write, a floor above it, a miss with a second witness
    _tally(
        "if held < self._need and floor < hlc_of(self._need):",
        "if False:",
        "test_a_copy_below_the_own_write_is_no_answer",
    ),
    _tally(
        "if held < self._need and floor < hlc_of(self._need):",
        "if held < self._need:",
        "test_a_floor_above_an_own_deletion_is_an_answer_to_it",
    ),
    _tally(
        "if need is None and session.o <= stable:",
        "if need is None:",
        "test_what_a_session_may_have_forgotten_needs_a_quorum_until_every_replica_has_it",
    ),
    _tally(
        "MISS_WITNESSES = 2 ",
        "MISS_WITNESSES = 1 ",
        "test_a_miss_is_believed_only_if_a_second_replica_misses_too",
    ),
    _tally(
        "max(self._enough, witnesses)",
        "witnesses",
        "test_an_eventual_read_takes_the_newest_of_as_many_replicas_as_the_cluster_says",
    ),
    # our own copy answers alone only where the tally would say so, and where it is asked at all
    _tally(
        "return read_quorum == 1 and held != ABSENT and held >= need",
        "return read_quorum == 1 and held != ABSENT",
        "test_a_copy_answers_alone_only_where_a_read_of_one_replica_would_end_with_it",
    ),
    _tally(
        "return read_quorum == 1 and held != ABSENT and held >= need",
        "return held != ABSENT and held >= need",
        "test_a_copy_answers_alone_only_where_a_read_of_one_replica_would_end_with_it",
    ),
    Mutant(
        file=_READ,
        old="        if view.number not in view.placement.read_set(target.slot):\n            return None\n",
        new="",
        killed_by=f"{_READS}::test_a_copy_of_a_slot_that_reads_ask_elsewhere_answers_nothing",
    ),
    _coordinator(
        "if consistency.may_ask_more(model):",
        "if False:",
        "test_a_record_whose_tags_ask_for_more_is_read_at_that_model",
    ),
    # what the coordinator hands to the tallies, and to the session
    _coordinator(
        "stable = self._stable.of(self._view(), target.slot)\n            need",
        "stable = request.session.o\n            need",
        "test_what_the_token_may_have_forgotten_is_read_from_a_quorum",
    ),
    _coordinator(
        "need=need, read_quorum=read_quorum)",
        "need=need)",
        "test_an_eventual_read_asks_as_many_replicas_as_the_cluster_says",
    ),
    _coordinator(
        "session.saw(hlc_of(record.version)) if record else session",
        "session",
        "test_a_session_has_seen_what_it_was_shown",
    ),
    _coordinator(
        "if ORDER.index(asked) > ORDER.index(model):",
        "if False:",
        "test_a_record_whose_tags_ask_for_more_is_read_at_that_model",
    ),
]
