"""Rules of the topology, taken away one at a time."""

from mutants.mutant import Mutant

_CORE = "node_image/spine_core"
_UNIT = "tests/unit/core"
_EPOCH = "tests/models/test_epoch.py"

MUTANTS = [
    Mutant(  # a write in a change is acknowledged by the old stores alone
        file=f"{_CORE}/replication/quorums.py",
        old="(current is target or _count(target, acks) >= needed)",
        new="True",
        killed_by=f"{_EPOCH}::test_no_acknowledged_write_is_missed_in_a_change",
    ),
    Mutant(  # … or by the new ones alone
        file=f"{_CORE}/replication/quorums.py",
        old="    return _count(current, acks) >= needed and (",
        new="    return (",
        killed_by=f"{_UNIT}/replication/test_quorums.py::test_a_write_in_a_change_needs_a_quorum_of_old_and_new",
    ),
    Mutant(  # a dead node waits in the target of another's drain
        file=f"{_CORE}/planning/changes.py",
        old="        key=lambda seat: given.document.current[seat] in given.observed.live,\n",
        new="        key=lambda seat: 0,\n",
        killed_by=f"{_UNIT}/planning/test_next_action.py::test_a_dead_node_leaves_before_the_living",
    ),
    Mutant(  # full disks keep an exchange of nodes waiting for ever
        file=f"{_CORE}/planning/changes.py",
        old="    full = isinstance(action, Blocked) and action.guard is Guard.ROOM_FOR",
        new="    full = False",
        killed_by=f"{_UNIT}/planning/test_next_action.py"
        "::test_others_join_before_a_drain_whose_receivers_have_no_room",
    ),
    Mutant(  # a quorum read asks one replica too few
        file=f"{_CORE}/replication/quorums.py",
        old="    return replicas // 2 + 1",
        new="    return (replicas + 1) // 2",
        killed_by=f"{_UNIT}/replication/test_quorums.py::test_two_majorities_share_a_replica",
    ),
    Mutant(  # the barrier relaxes to one store
        file=f"{_CORE}/replication/quorums.py",
        old="    return max(placement.write_quorum, placement.factor - placement.write_quorum + 1)",
        new="    return 1",
        killed_by=f"{_EPOCH}::test_no_acknowledged_write_is_missed_in_a_change",
    ),
    Mutant(  # the barrier forgets the new stores
        file=f"{_CORE}/replication/quorums.py",
        old="        if _count(old, acked) < needed or _count(new, acked) < needed",
        new="        if _count(old, acked) < needed",
        killed_by=f"{_EPOCH}::test_no_acknowledged_write_is_missed_in_a_change",
    ),
    Mutant(  # reads move to the new stores before those have pulled
        file=f"{_CORE}/topology/placement.py",
        old="self._target if self.phase is Phase.SWITCH else self._current",
        new="self._target if self.phase is not Phase.STABLE else self._current",
        killed_by=f"{_EPOCH}::test_no_acknowledged_write_is_missed_in_a_change",
    ),
    Mutant(  # writes in a change go to the old stores only
        file=f"{_CORE}/topology/placement.py",
        old="                (*old, *(store for store in new if store not in old))",
        new="                old",
        killed_by=f"{_UNIT}/topology/test_placement.py::test_writes_go_to_old_and_new_and_reads_move_with_the_switch",
    ),
    Mutant(  # any one store is source enough
        file=f"{_CORE}/replication/pull_sources.py",
        old="    needed = placement.factor - placement.write_quorum + 1",
        new="    needed = 1",
        killed_by=f"{_EPOCH}::test_no_acknowledged_write_is_missed_when_a_disk_is_lost",
    ),
    Mutant(  # two stores that gain a slot pull from the same one
        file=f"{_CORE}/replication/pull_sources.py",
        old="    return sorted(old - new)[sorted(new - old).index(store)]",
        new="    return sorted(old - new)[0]",
        killed_by=f"{_UNIT}/replication/test_pull_sources.py::test_each_gained_store_displaces_another_one",
    ),
    Mutant(  # a store that refuses no epoch
        file=f"{_CORE}/replication/put_rules.py",
        old="    if request_epoch == my_epoch:",
        new="    if True:",
        killed_by=f"{_EPOCH}::test_no_acknowledged_write_is_missed_in_a_change",
    ),
    Mutant(  # published before the barrier
        file=f"{_CORE}/planning/next_action.py",
        old="    action = _check_document(given) or _reach_barrier(given)",
        new="    action = _check_document(given)",
        killed_by=f"{_UNIT}/planning/test_next_action.py::test_without_the_barrier_nothing_goes_on_however_long_it_takes",
    ),
    Mutant(  # time relaxes the barrier
        file=f"{_CORE}/planning/next_action.py",
        old="    if given.observed.behind and not (isinstance(verdict, Pass) and given.waited_s >= COURTESY_S):",
        new="    if given.waited_s >= COURTESY_S:\n        return None\n    if given.observed.behind:",
        killed_by=f"{_UNIT}/planning/test_next_action.py::test_without_the_barrier_nothing_goes_on_however_long_it_takes",
    ),
    Mutant(  # switched before all is pulled
        file=f"{_CORE}/planning/guards.py",
        old="        done = progress.pulled if progress and progress.id == change.id else frozenset[Slot]()",
        new="        done = progress.pulled if progress else gained",
        killed_by=f"{_UNIT}/planning/test_next_action.py::test_a_joiner_that_does_not_answer_has_not_pulled",
    ),
    Mutant(  # slots of another change count as pulled
        file=f"{_CORE}/planning/guards.py",
        old="if progress and progress.id == change.id else",
        new="if progress else",
        killed_by=f"{_UNIT}/planning/test_guards.py::test_what_was_pulled_for_another_change_does_not_count",
    ),
    Mutant(  # a newer document is overlooked
        file=f"{_CORE}/planning/guards.py",
        old="        if report.epoch > document.epoch:",
        new="        if False:",
        killed_by=f"{_UNIT}/planning/test_guards.py::test_document_whole",
    ),
    Mutant(  # another document of this epoch is overlooked
        file=f"{_CORE}/planning/guards.py",
        old="        if report.digest != expected.get(report.epoch, report.digest):",
        new="        if False:",
        killed_by=f"{_UNIT}/planning/test_guards.py::test_document_whole_follows_the_chain_of_digests",
    ),
    Mutant(  # what is not known passes
        file=f"{_CORE}/planning/guards.py",
        old='    return Unknown(f"no report from {unseen}") if unseen else Pass()',
        new="    return Pass()",
        killed_by=f"{_UNIT}/planning/test_guards.py::test_members_visible",
    ),
    Mutant(  # a peer that says nothing agrees
        file=f"{_CORE}/planning/guards.py",
        old='            unknown = unknown or Unknown(f"store {reader} says nothing about store {other}")',
        new="            continue",
        killed_by=f"{_UNIT}/planning/test_guards.py::test_peers_agree",
    ),
    Mutant(  # nobody asks for sources
        file=f"{_CORE}/planning/changes.py",
        old="    yield Guard.SOURCES, sources(candidate, given.observed)\n",
        new="",
        killed_by=f"{_UNIT}/planning/test_next_action.py::test_a_join_is_not_begun_against_a_guard",
    ),
    Mutant(  # as many nodes at once as are wanted
        file=f"{_CORE}/planning/changes.py",
        old="        if attempt and (best is None or isinstance(tolerable(attempt), Pass)):",
        new="        if attempt:",
        killed_by=f"{_UNIT}/planning/test_next_action.py::test_whole_groups_of_one_zone_join_at_once",
    ),
    Mutant(  # a drain does not ask whether the others are in step
        file=f"{_CORE}/planning/changes.py",
        old="        yield Guard.FULLY_REPLICATED, verdict\n",
        new="        assert verdict\n",
        killed_by=f"{_UNIT}/planning/test_next_action.py::test_a_drain_waits_until_all_others_are_in_step",
    ),
    Mutant(  # an old store joins again
        file=f"{_CORE}/planning/changes.py",
        old="    return None if report.store_id in used else report",
        new="    return report",
        killed_by=f"{_UNIT}/planning/test_next_action.py::test_a_reverted_store_is_retired_and_its_number_is_spent",
    ),
    Mutant(  # a drained node goes although the others are not in step
        file=f"{_CORE}/planning/next_action.py",
        old="    return blocked or RemoveSeats(seats=tuple(extra))",
        new="    assert blocked is None or blocked\n    return RemoveSeats(seats=tuple(extra))",
        killed_by=f"{_UNIT}/planning/test_next_action.py::test_a_drained_node_stays_until_all_others_are_in_step",
    ),
    Mutant(  # nodes that nobody wants go, named or not
        file=f"{_CORE}/planning/next_action.py",
        old="    kept = given.document.current.keys() | given.wanted.seats.keys()",
        new="    kept = given.wanted.seats.keys()",
        killed_by=f"{_UNIT}/planning/test_next_action.py::test_a_drain_runs_to_its_end_and_retires_the_store",
    ),
    Mutant(  # an empty disk passes as the old store
        file=f"{_CORE}/planning/next_action.py",
        old="        if report.store_id != document.stores[number].id or report.status",
        new="        if report.status",
        killed_by=f"{_UNIT}/planning/test_next_action.py::test_an_empty_disk_on_a_named_seat_is_not_its_old_self",
    ),
    Mutant(  # a second cluster begins on the stores of a first one
        file=f"{_CORE}/planning/bootstrap.py",
        old="    if used:\n",
        new="    if False:\n",
        killed_by=f"{_UNIT}/planning/test_bootstrap.py::test_a_retired_store_forbids_epoch_one",
    ),
    Mutant(  # a cluster begins while a node is silent
        file=f"{_CORE}/planning/bootstrap.py",
        old="    if silent:\n",
        new="    if len(silent) > 1:\n",
        killed_by=f"{_UNIT}/planning/test_bootstrap.py::test_a_cluster_does_not_begin_while_one_node_is_silent",
    ),
    Mutant(  # a store number is given twice
        file=f"{_CORE}/topology/document.py",
        old="            next_number=self.next_number + len(numbered),",
        new="            next_number=1 + max(self.stores, default=0),",
        killed_by=f"{_UNIT}/topology/test_document.py::test_a_store_number_is_given_once",
    ),
    Mutant(  # stores that left are forgotten
        file=f"{_CORE}/topology/document.py",
        old="            retired={**self.retired, **gone},",
        new="            retired=self.retired,",
        killed_by=f"{_UNIT}/topology/test_document.py::test_a_committed_drain_retires_the_leaver",
    ),
    Mutant(  # a change commits without its switch
        file=f"{_CORE}/topology/document.py",
        old='        assert self.phase is Phase.SWITCH, "only a switched change may commit"\n',
        new="",
        killed_by=f"{_UNIT}/topology/test_document.py::test_a_change_goes_back_from_switch_through_prepare",
    ),
    Mutant(  # reads that have moved on stay behind when a change is taken back
        file=f"{_CORE}/topology/document.py",
        old='        assert self.phase is Phase.PREPARE, "a switched change goes back to prepare first"\n',
        new="",
        killed_by=f"{_UNIT}/topology/test_document.py::test_a_change_goes_back_from_switch_through_prepare",
    ),
    Mutant(  # a report counts although it comes from another store
        file=f"{_CORE}/planning/planning_input.py",
        old="        if report is not None and report.seat == seat and seen[report.store_id] == 1",
        new="        if report is not None",
        killed_by=f"{_UNIT}/planning/test_next_action.py::test_a_node_that_answers_for_another_seat_is_unknown",
    ),
    Mutant(  # a copied disk joins twice
        file=f"{_CORE}/planning/planning_input.py",
        old=" and seen[report.store_id] == 1",
        new="",
        killed_by=f"{_UNIT}/planning/test_next_action.py::test_a_store_that_answers_from_two_seats_is_unknown",
    ),
    Mutant(  # a change is taken back because one answer was lost
        file=f"{_CORE}/planning/next_action.py",
        old="    return min(silent_s, default=given.waited_s)",
        new="    return given.waited_s",
        killed_by=f"{_UNIT}/planning/test_next_action.py"
        "::test_one_lost_report_is_no_stall_but_long_silence_everywhere_is",
    ),
    Mutant(  # a node that follows another document counts as one that adopted ours
        file=f"{_CORE}/admin_plane.py",
        old='(answer.get("epoch"), answer.get("digest")) != (document.epoch, document.digest())',
        new='answer.get("epoch") != document.epoch',
        killed_by=f"{_UNIT}/test_admin_plane.py::test_only_this_very_document_counts_as_adopted",
    ),
    Mutant(  # a replica counts as in step although it pulled before the other one restarted
        file=f"{_CORE}/planning/observed_stores.py",
        old="age_s < min(reader.up_s, source.up_s, SYNC_AGE_MAX_S)",
        new="age_s < SYNC_AGE_MAX_S",
        killed_by=f"{_UNIT}/planning/test_reports.py::test_a_replica_is_in_step_when_it_pulled_from_all_others_since_both_started",
    ),
]
