"""Mutants of writes: quorums of acknowledgements, groups of puts, timestamps, attempts."""

from mutants.mutant import Mutant

NODE = "node_image/spine_node"
TALLY = "tests/unit/core/replication/test_write_tally.py"
GROUP = "tests/unit/core/replication/test_put_group_tally.py"
GROUPS = "tests/unit/engine/coordinator/test_put_groups.py"
STAMPS = "tests/unit/engine/cluster/test_timestamps.py"
COORDINATORS = "tests/simulation/test_coordinators.py"
ATTEMPTS = "tests/unit/engine/coordinator/test_attempts.py"


def _tally(old: str, new: str, killed_by: str) -> Mutant:
    return Mutant(
        file="node_image/spine_core/replication/write_tally.py",
        old=old,
        new=new,
        killed_by=f"{TALLY}::{killed_by}",
    )


def _engine(module: str, old: str, new: str, killed_by: str) -> Mutant:
    return Mutant(file=f"{NODE}/engine/{module}.py", old=old, new=new, killed_by=killed_by)


MUTANTS = [
    # tally: a quorum of both sides, made of acknowledgements alone; silence is no "no"
    _tally(
        "if answer is ReplicaStatus.OK:",
        "if answer in {ReplicaStatus.OK, ReplicaStatus.STRONG}:",
        "test_what_follows_from_the_answers_of_three_replicas",
    ),
    _tally(
        "if answer is ReplicaStatus.OK:",
        "if answer in {ReplicaStatus.OK, ReplicaStatus.SUPERSEDED}:",
        "test_what_follows_from_the_answers_of_three_replicas",
    ),
    _tally(
        "if write_done(self._placement, self._slot, self.acks):",
        "if len(self.acks) >= self._placement.write_quorum:",
        "test_in_a_change_a_quorum_of_the_old_replicas_alone_is_not_enough",
    ),
    _tally(
        "answers.get(store, ReplicaStatus.LOST)",
        "answers.get(store, ReplicaStatus.UNREACHABLE)",
        "test_a_replica_that_has_not_answered_may_have_applied",
    ),
    Mutant(
        file="node_image/spine_core/replication/replica_status.py",
        old="frozenset({ReplicaStatus.OK, ReplicaStatus.ERROR, ReplicaStatus.LOST})",
        new="frozenset({ReplicaStatus.OK})",
        killed_by=f"{TALLY}::test_only_answers_that_all_say_no_make_a_put_not_applied",
    ),
    _tally(
        "max(self.superseded_by, held)",
        "held",
        "test_the_next_stamp_has_to_pass_the_newest_version_that_is_held",
    ),
    # groups of puts: each put is decided as if it were alone
    Mutant(
        file="node_image/spine_core/replication/put_group_tally.py",
        old="            self._apart[position] = self._together.copy()\n",
        new="            pass\n",
        killed_by=f"{GROUP}::test_each_put_is_decided_as_if_it_had_been_sent_alone",
    ),
    Mutant(
        file="node_image/spine_core/replication/put_group_tally.py",
        old="            if together if own is None else own.verdict() is not None:\n",
        new="            if together or own is not None:\n",
        killed_by=f"{GROUP}::test_each_put_is_decided_as_if_it_had_been_sent_alone",
    ),
    Mutant(
        file="node_image/spine_core/replication/put_group_tally.py",
        old="self._apart[position] = self.of(position).copy()",
        new="self._apart[position] = self.of(position)",
        killed_by=f"{GROUP}::test_a_put_whose_time_is_up_may_have_been_applied_and_the_others_go_on",
    ),
    _engine(
        "coordinator/put_groups",
        "        timer = loop.call_later(left_s, group.expire, position)\n",
        "        timer = loop.call_later(9e9, group.expire, position)\n",
        f"{GROUPS}::test_each_put_ends_at_its_own_deadline",
    ),
    _engine(
        "coordinator/put_groups",
        "one._replace(position=one.position - begin)",
        "one",
        f"{GROUPS}::test_a_refusal_meets_the_put_that_it_names_in_a_call_of_several_groups",
    ),
    _engine(
        "coordinator/put_groups",
        "        begin += len(group.records)\n",
        "",
        f"{GROUPS}::test_a_refusal_meets_the_put_that_it_names_in_a_call_of_several_groups",
    ),
    # timestamps: each version below a durable high-water mark, and not carried away by restarts
    _engine(
        "cluster/timestamps",
        "        if hlc >= self._high_water:\n",
        "        if False:\n",
        f"{STAMPS}::test_no_version_is_issued_before_a_mark_above_it_is_durable",
    ),
    _engine(
        "cluster/timestamps",
        "await self._store.submit(Reserve(high_water))",
        "self._store.submit(Reserve(high_water))",
        f"{STAMPS}::test_a_version_waits_for_the_commit_of_its_high_water_mark",
    ),
    _engine(
        "cluster/timestamps",
        "max(ahead, Hlc(self._hlc.last + hlc_from_ms(1)))",
        "Hlc(self.now() + hlc_from_ms(AHEAD_MS))",
        f"{STAMPS}::test_many_quick_restarts_carry_the_clock_no_further_than_one",
    ),
    _engine(
        "cluster/timestamps",
        "async with asyncio.timeout(left_s):",
        "async with asyncio.timeout(None):",
        f"{COORDINATORS}::test_a_write_is_answered_in_time_though_the_disk_of_its_node_hangs",
    ),
    # attempts and answers: none behind the deadline, the first verdict holds
    _engine(
        "coordinator/attempts",
        "if failed.final or deadline - clock.now() <= pause_s:",
        "if failed.final or deadline <= clock.now():",
        f"{ATTEMPTS}::test_no_attempt_begins_behind_the_deadline",
    ),
    _engine(
        "coordinator/attempts",
        "if not decided.done() and (verdict := tally.verdict()) is not None:",
        "if (verdict := tally.verdict()) is not None:",
        f"{ATTEMPTS}::test_an_answer_in_the_call_itself_may_decide",
    ),
    # writing: stamped above what is held, one operation through all attempts, no false "no"
    _engine(
        "coordinator/weak_put",
        "            self._context.hlc.observe(hlc_of(held))\n",
        "            pass\n",
        f"{COORDINATORS}::test_a_write_waits_for_its_clock_below_a_version_too_far_ahead",
    ),
    _engine(
        "coordinator/pending_write",
        "version=version, op=self.op,",
        "version=version, op=0,",
        f"{COORDINATORS}::test_a_key_that_was_used_with_another_body_is_refused",
    ),
    _engine(
        "coordinator/weak_put",
        "found = await self._made_before()",
        "found: Record | None = None",
        f"{COORDINATORS}"
        "::test_a_create_that_an_earlier_attempt_has_made_meanwhile_answers_with_that_one",
    ),
    _engine(
        "coordinator/weak_put",
        "            if found is not None:\n                return found, tally\n",
        "            assert found is not None\n            return found, tally\n",
        f"{COORDINATORS}::test_a_create_that_comes_too_late_is_stamped_anew",
    ),
    _engine(
        "coordinator/weak_put",
        "self.may_have_applied or tally.may_have_applied",
        "tally.may_have_applied",
        f"{COORDINATORS}::test_what_an_early_attempt_may_have_left_is_not_forgotten_by_a_later_one",
    ),
    _engine(
        "coordinator/weak_put",
        "        if left_s > 0:\n",
        "        if True:\n",
        f"{COORDINATORS}::test_a_write_whose_deadline_has_passed_was_not_applied",
    ),
    _engine(
        "coordinator/weak_put",
        "if self._version is not ABSENT:",
        "if False:",
        f"{COORDINATORS}::test_an_attempt_that_nothing_superseded_is_repeated_with_its_version",
    ),
    _engine(
        "coordinator/write",
        "        self._context.hlc.observe_session(session.t)\n",
        "",
        f"{COORDINATORS}::test_a_write_is_stamped_above_all_that_its_session_has_seen",
    ),
    # writing at the model `strong` makes a register, whoever asks for it
    _engine(
        "coordinator/write",
        "if model is Model.STRONG or request.needs_register:",
        "if request.model is Model.STRONG or request.needs_register:",
        f"{COORDINATORS}::test_a_write_that_must_be_strong_makes_a_register_on_every_replica",
    ),
]
