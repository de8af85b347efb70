"""Mutants of registers: what makes weak writes and rounds safe together, ballots, retries, floors."""

from mutants.mutant import Mutant

REGISTERS = "node_image/spine_core/replication/registers"
MODEL = "tests/models/test_register.py"
UNIT = "tests/unit/core/replication/registers"
COORDINATOR = "node_image/spine_node/engine/coordinator"
ROUNDS = "tests/simulation/test_register_rounds.py"


def _register(module: str, old: str, new: str, killed_by: str, *, within: str = "") -> Mutant:
    """`killed_by`: a test of the model, or `test_file.py::test` of the units."""
    return Mutant(
        file=f"{REGISTERS}/{module}.py",
        within=within,
        old=old,
        new=new,
        killed_by=f"{UNIT}/{killed_by}" if "::" in killed_by else f"{MODEL}::{killed_by}",
    )


def _in_a_change(file: str, old: str, new: str, killed_by: str, *, within: str = "") -> Mutant:
    """`killed_by`: a test of the model of registers in a topology change."""
    return Mutant(
        file=f"node_image/spine_core/replication/{file}.py",
        within=within,
        old=old,
        new=new,
        killed_by=f"tests/models/test_register_change.py::{killed_by}",
    )


BEFORE_AND_AFTER = "test_a_change_before_the_move_and_one_after_it_agree"
PUT_AND_CHANGE = "test_a_put_that_meets_a_change_is_never_lost_nor_applied_twice"
RETRIES = "test_changes_that_are_tried_again_take_effect_once"

STORED = "tests/unit/store/test_registers.py"
LEASES = "tests/simulation/test_leases.py"


def _stored(old: str, new: str, killed_by: str) -> Mutant:
    file = "node_image/spine_node/store/register_execution.py"
    return Mutant(file=file, old=old, new=new, killed_by=f"{STORED}::{killed_by}")


MUTANTS = [
    # U1: weak puts are refused from the promise on, not from the first accept
    _register(
        "acceptor",
        "has_register=replica.register is not None,",
        "has_register=replica.register is not None and replica.register.value is not None,",
        PUT_AND_CHANGE,
    ),
    # U2: a promise carries the weak record
    _register("acceptor", "return grown_from(held)", "return grown_from(None)", PUT_AND_CHANGE),
    # U3: an accepted value beats every weak record, whenever that was written
    _register(
        "proposer",
        "(promise.accepted, promise.value.base)",
        "(promise.value.record.version[1:], promise.accepted)",
        "test_puts_that_take_new_timestamps_are_never_lost",
    ),
    # U4: a put that is its own base, or a change that is in the list, is not made again
    _register(
        "changes",
        "    if op == current.base_op and current.base != ABSENT:\n        return current.base\n",
        "",
        PUT_AND_CHANGE,
    ),
    _register(
        "changes",
        "for made, ballot in current.changes if made == op",
        "for made, ballot in current.changes if made == op and False",
        RETRIES,
    ),
    # U5: `strong` is no acknowledgement
    Mutant(
        file="node_image/spine_core/replication/write_tally.py",
        old="if answer is ReplicaStatus.OK:",
        new="if answer in (ReplicaStatus.OK, ReplicaStatus.STRONG):",
        killed_by=f"{MODEL}::{PUT_AND_CHANGE}",
    ),
    # §7.6: what the value has forgotten is not made again, nor called unapplied
    _register(
        "changes",
        "if change.if_match is None and first is not None and current.forgotten >= first:",
        "if False:",
        "test_a_change_that_the_value_has_forgotten_is_not_made_again",
    ),
    _register(
        "changes",
        "current.forgotten > (change.if_match or NO_BALLOT)",
        "change.if_match is None and current.forgotten > NO_BALLOT",
        "test_changes.py::test_case_3_a_condition_older_than_what_is_forgotten_leaves_the_outcome_open",
    ),
    _register(
        "changes",
        "current.forgotten > (change.if_match or NO_BALLOT)",
        "change.if_match is not None and current.forgotten > change.if_match",
        "test_a_create_that_the_value_has_forgotten_is_not_called_unapplied",
    ),
    _register(
        "changes",
        "forgotten = dropped[-1][1] if dropped else value.forgotten",
        "forgotten = value.forgotten",
        "test_a_change_that_the_value_has_forgotten_is_not_made_again",
    ),
    # conditions
    _register(
        "changes",
        "live is None or ballot_in(live.version) != change.if_match",
        "live is None",
        "test_changes.py::test_a_condition_holds_for_exactly_its_version",
    ),
    _register(
        "changes",
        "if change.kind is ChangeKind.CREATE and live is not None:",
        "if False:",
        "test_one_of_two_creates_is_refused_and_never_takes_effect",
    ),
    # ballots: promises hold, in both halves, and are stored
    _register("acceptor", "if ballot <= promised:", "if False:", RETRIES),
    _register("acceptor", "if ballot < promised:", "if False:", RETRIES),
    _register(
        "acceptor",
        "register=old._replace(promised=ballot)",
        "register=old",
        RETRIES,
    ),
    _register(
        "proposer",
        "if hlc >= ballot_hlc(ballot):",
        "if False:",
        "test_proposer.py::test_a_round_below_the_current_value_begins_again_above_it",
    ),
    # chosen: learned, and nothing else
    _register(
        "proposer",
        "chosen=learned",
        "chosen=True",
        "test_reads_agree_with_changes_whether_or_not_they_need_a_round",
    ),
    _register(
        "proposer",
        "one.learned and one.value.record.version == version",
        "one.learned",
        "test_proposer.py::test_a_learned_copy_says_nothing_about_a_newer_value",
    ),
    _register(
        "proposer",
        "if current.chosen and changed.value == current.value:",
        "if changed.value == current.value:",
        "test_reads_agree_with_changes_whether_or_not_they_need_a_round",
    ),
    _register(
        "proposer",
        "if write_done(self._placement, self._slot, self.agreed):",
        "if self.agreed:",
        RETRIES,
    ),
    # learned: a higher accepted value stays, promises only grow
    _register(
        "acceptor",
        "if ballot >= old.accepted:",
        "if True:",
        "test_acceptor.py::test_a_learned_value_leaves_a_higher_accepted_one_alone",
    ),
    _register(
        "acceptor",
        "RegisterState(max(old.promised, ballot), ballot, value, learned=True)",
        "RegisterState(ballot, ballot, value, learned=True)",
        "test_acceptor.py::test_a_promise_outlives_what_is_learned",
    ),
    # floors: what may have been purged takes no older round, and a slower replica's tombstone is absent
    _register(
        "acceptor",
        "return make_ballot(replica.floor, _LAST_ORIGIN)",
        "return NO_BALLOT",
        "test_rounds_from_before_a_purge_change_nothing_after_it",
    ),
    _register(
        "proposer",
        "ballot_hlc(promise.accepted) <= floor",
        "False",
        "test_what_a_slower_replica_has_not_purged_does_not_come_back",
    ),
    # late: an accept is first applied within five seconds of its ballot, or nowhere
    _register(
        "acceptor",
        "    if now_hlc > ballot_hlc(ballot) + _MAX_WRITE:\n        return replica, Late()\n",
        "",
        "test_acceptor.py::test_an_accept_is_first_applied_within_five_seconds_of_its_ballot",
    ),
    # fences: a lower one, none, or that of another lease writes nothing to a guarded record
    _register(
        "changes",
        "change.fence.fence < guard.fence",
        "False",
        "test_changes.py::test_a_guarded_record_takes_no_write_of_a_lower_fence_nor_one_without",
    ),
    _register(
        "changes",
        "return None if change.unguard else ChangeVerdict.FENCE_REQUIRED",
        "return None",
        "test_changes.py::test_a_guarded_record_takes_no_write_of_a_lower_fence_nor_one_without",
    ),
    _register(
        "changes",
        "if change.fence.lease != guard.lease:",
        "if False:",
        "test_changes.py::test_a_guarded_record_takes_no_write_of_a_lower_fence_nor_one_without",
    ),
    _register(
        "changes",
        "None if change.unguard else change.fence",
        "None",
        "test_changes.py::test_a_guard_only_rises_and_outlives_a_deletion",
    ),
    # R4: promises, promises without a value and accepted values move with the slot
    _in_a_change(
        "registers/acceptor",
        "promised = max(ours.promised, register.promised)",
        "promised = max(ours.promised, newer.accepted)",
        BEFORE_AND_AFTER,
    ),
    _in_a_change(
        "registers/acceptor",
        "    if register is None:\n        return replica._replace(held=held)\n",
        "    if register is None or register.value is None:\n"
        "        return replica._replace(held=held)\n",
        "test_a_put_and_a_change_of_two_epochs_agree",
    ),
    _in_a_change(
        "registers/acceptor",
        "    if register is None:\n        return replica._replace(held=held)\n",
        "    if True:\n        return replica._replace(held=held)\n",
        BEFORE_AND_AFTER,
    ),
    _in_a_change(
        "registers/acceptor",
        "key=lambda state: (state.accepted, state.learned)",
        "key=lambda state: (not state.accepted, state.learned)",
        BEFORE_AND_AFTER,
    ),
    # rounds need the old and the new replicas, in one epoch, and all of the sources
    _in_a_change(
        "quorums",
        "(current is target or _count(target, acks) >= needed)",
        "True",
        "test_changes_in_adjacent_epochs_agree",
    ),
    _in_a_change(
        "put_rules",
        "if request_epoch == my_epoch:",
        "if True:",
        "test_changes_in_adjacent_epochs_agree",
    ),
    _in_a_change(
        "pull_sources",
        "    needed = placement.factor - placement.write_quorum + 1\n",
        "    needed = 1\n",
        BEFORE_AND_AFTER,
    ),
    # a copy vouches only where nothing higher is promised: it may have been transferred below that
    _in_a_change(
        "read_tally",
        "if held == newest and store not in self._open",
        "if held == newest",
        "test_a_read_after_the_move_shows_no_weak_record_that_a_round_has_missed",
    ),
    _in_a_change(
        "read_tally",
        "one.ballot == one.promised == best.ballot",
        "one.ballot == best.ballot",
        "test_a_read_after_the_move_shows_no_change_that_a_round_has_missed",
    ),
    _in_a_change(
        "registers/proposer",
        "chosen=learned",
        "chosen=learned or len({one.accepted for one in counted}) == 1",
        "test_a_read_after_the_move_shows_no_change_that_a_round_has_missed",
    ),
    # … and a quorum read shows an accepted value only when a write quorum has it
    Mutant(
        file="node_image/spine_core/replication/read_tally.py",
        old="        if write_done(self._placement, self._slot, same):\n",
        new="        if same:\n",
        killed_by=f"{MODEL}::test_a_quorum_read_shows_no_change_that_is_lost",
    ),
    # what a coordinator and its reader may conclude from a round that others have not finished
    Mutant(
        file=f"{COORDINATOR}/rounds.py",
        old="if len(learned) < len(promises):",
        new="if False:",
        killed_by=f"{ROUNDS}::test_a_replica_that_missed_a_register_of_nothing_learns_it",
    ),
    Mutant(
        file=f"{COORDINATOR}/registers.py",
        old="return outcome._replace(may_have_applied=True)",
        new="return outcome",
        killed_by=f"{ROUNDS}"
        "::test_a_refusal_is_not_final_while_the_change_may_still_arrive_elsewhere",
    ),
    Mutant(  # a change that comes late is not made again
        file=f"{COORDINATOR}/registers.py",
        old="self._propose(call.change, deadline, Ballot(call.began))",
        new="self._propose(call.change, deadline)",
        killed_by=f"{ROUNDS}::test_a_change_that_comes_after_nine_others_is_not_made_again",
    ),
    # the store: decisions are stored before they are answered, and move as a whole
    _stored(
        "    _store(draft, operation.slot, operation.key, before, after)\n    return _promise",
        "    return _promise",
        "test_a_promise_carries_the_weak_record_and_outlives_a_crash",
    ),
    _stored(
        "        if not theirs.learned:\n            return False\n",
        "",
        "test_a_recurring_pull_brings_what_was_learned_and_nothing_else",
    ),
    _stored(
        "            if ballot < state.accepted:\n                raise\n",
        "",
        "test_a_damaged_record_is_not_replaced_by_an_older_round",
    ),
    _stored(
        "        after = acceptor.transfer(before, held, theirs)\n",
        "        after = acceptor.transfer(before, held, None)\n",
        "test_a_full_transfer_brings_a_promise_without_a_record",
    ),
    Mutant(
        file="node_image/spine_node/store/execution.py",
        old='        return "corrupt"  # its acceptor state is missing\n',
        new="        pass\n",
        killed_by=f"{STORED}::test_a_strong_record_without_its_acceptor_state_is_refused",
    ),
    Mutant(  # … and what lies under an open round is not called pulled
        file="node_image/spine_node/store/execution.py",
        old='return "open" if lacks else "known"',
        new='return "known"',
        killed_by=f"{STORED}::test_a_value_that_was_learned_before_an_open_round_has_still_to_be_pulled",
    ),
    # leases: the newest fence only, and guards are stamped before the grant is answered
    Mutant(
        file=f"{COORDINATOR}/leases.py",
        old="            await self._stamp(request, op, outcome.state.fence)\n",
        new="            pass\n",
        killed_by=f"{LEASES}::test_a_guard_without_a_record_stops_a_late_write_too",
    ),
    Mutant(
        file=f"{COORDINATOR}/leases.py",
        old="            await self.release(back)\n",
        new="            pass\n",
        killed_by=f"{LEASES}::test_a_lease_whose_guard_cannot_be_stamped_is_given_back",
    ),
    # the reaper
    Mutant(
        file="node_image/spine_node/engine/upkeep/reaper.py",
        old="if now - since >= ABANDONED_S]",
        new="if now - since >= 1e9]",
        killed_by="tests/simulation/test_registers.py::test_the_reaper_completes_what_nobody_learned",
    ),
]
