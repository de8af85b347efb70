"""Mutants of the engine around reads and writes: membership, replicas, pulls, upkeep."""

from mutants.mutant import Mutant

NODE = "node_image/spine_node"
MEMBERS = "tests/unit/engine/cluster/test_topology_view.py"
HEALTH = "tests/unit/engine/upkeep/test_health.py"
GAINS = "tests/unit/engine/replication/test_transfer_progress.py"
STABLE = "tests/unit/engine/cluster/test_stable_time.py"
MOVER = "tests/unit/engine/replication/test_mover.py"
ROUNDS = "tests/unit/engine/replication/test_anti_entropy.py"
TRANSFER = "tests/unit/engine/replication/test_slot_transfer.py"
PACE = "tests/unit/engine/replication/test_throttle.py"
COORDINATORS = "tests/simulation/test_coordinators.py"
READS = "tests/simulation/test_reads.py"
EPOCHS = "tests/simulation/test_epochs.py"
PULLS = "tests/simulation/test_pulls.py"
UNOWNED = "tests/simulation/test_unowned_slots.py"
GOSSIP = "tests/simulation/test_gossiping.py"


def _engine(module: str, old: str, new: str, killed_by: str, *, within: str = "") -> Mutant:
    file = f"{NODE}/engine/{module}.py"
    return Mutant(file=file, within=within, old=old, new=new, killed_by=killed_by)


MUTANTS = [
    # membership: durable before it is shown, ours, only forward; a joiner leaves nothing behind
    _engine(
        "cluster/topology_view",
        "        self._check(view)\n",
        "        self._check(view)\n        self.view = view\n",
        f"{MEMBERS}::test_a_document_is_not_shown_before_it_is_durable",
    ),
    _engine(
        "cluster/topology_view",
        "await asyncio.shield(self._adopting.get(raw) or self._begin(raw))",
        "await self._adopt(raw)",
        f"{MEMBERS}::test_a_durable_document_is_shown_though_its_bringer_went_away",
    ),
    _engine(
        "cluster/topology_view",
        "self._adopting.get(raw) or self._begin(raw)",
        "self._begin(raw)",
        f"{MEMBERS}::test_a_document_that_many_bring_at_once_is_read_once",
    ),
    _engine(
        "cluster/topology_view",
        "if self.view is None and view.number is None:",
        "if False:",
        f"{MEMBERS}::test_a_first_document_that_does_not_name_us_is_refused",
    ),
    _engine(
        "cluster/topology_view",
        "if known is not None and known != view.document.cluster_id:",
        "if False:",
        f"{MEMBERS}::test_a_document_of_another_cluster_is_refused_for_good",
    ),
    _engine(
        "cluster/topology_view",
        "if self.view is None or self.view.epoch < view.epoch:",
        "if True:",
        f"{MEMBERS}::test_the_same_document_again_changes_nothing_and_calls_nobody",
    ),
    _engine(
        "cluster/topology_view",
        "            await self._drop_everything(view)\n",
        "            pass\n",
        f"{MEMBERS}::test_a_joiner_that_is_no_longer_named_drops_what_it_pulled",
    ),
    _engine(
        "cluster/topology_view",
        "and before is not None and _only_joining(before)",
        "and before is not None",
        f"{MEMBERS}::test_a_member_that_is_no_longer_named_keeps_everything",
    ),
    _engine(
        "cluster/topology_view",
        "self.view if isinstance(self.view, MemberView) else None",
        "self.view",
        f"{MEMBERS}::test_a_member_that_is_no_longer_named_keeps_everything",
    ),
    # replica and peers: no request of another epoch, no data without a document that names us
    _engine(
        "cluster/replica",
        "judge_epoch(epoch, view.epoch)",
        "judge_epoch(view.epoch, view.epoch)",
        f"{EPOCHS}::test_a_request_of_an_older_epoch_is_answered_with_the_document",
    ),
    _engine(
        "cluster/replica",
        "view = self._membership.member\n",
        "view = self._membership.view\n",
        f"{EPOCHS}::test_a_node_that_its_document_no_longer_names_gives_no_data",
    ),
    _engine(
        "cluster/replica_client",
        "        if view is not self._membership.view:\n"
        "            raise CallError(view.number, ReplicaStatus.STALE_EPOCH, EMPTY)\n",
        "",
        f"{EPOCHS}::test_our_own_copy_is_not_read_under_an_older_epoch",
        within="ReplicaClient.own",
    ),
    _engine(
        "cluster/replica_client",
        "        except CorruptRecordError as error:\n",
        "        except KeyError as error:\n",
        f"{READS}::test_a_damaged_copy_sends_the_read_elsewhere",
        within="ReplicaClient._copy_in",
    ),
    _engine(
        "cluster/replica_client",
        "            self._membership.offer(document_in(body))\n",
        "            pass\n",
        f"{EPOCHS}::test_a_coordinator_that_is_behind_learns_from_the_refusals_and_succeeds",
    ),
    _engine(
        "cluster/replica_client",
        "        elif status == ReplicaStatus.NEED_DOCUMENT:\n"
        "            self.push_document(store)\n",
        "",
        f"{EPOCHS}::test_replicas_that_are_behind_get_the_document_from_the_coordinator",
    ),
    # pages and pulling: all of it, of one epoch, and stable time no earlier than that
    _engine(
        "replication/pull_server",
        "self._replica.check_epoch(header.epoch)",
        "pass",
        f"{EPOCHS}::test_a_request_of_an_older_epoch_is_answered_with_the_document",
    ),
    _engine(
        "replication/pull_server",
        "await self._store.submit(Reserve(header.hlc))",
        "await self._store.submit(Barrier())",
        f"{COORDINATORS}"
        "::test_a_source_restarted_with_its_clock_set_back_takes_no_write_that_is_too_late",
    ),
    _engine(
        "replication/mover",
        "            if after is None:\n                return applied\n",
        "            return applied\n",
        f"{MOVER}::test_a_pull_of_many_answers_brings_every_record",
    ),
    _engine(
        "replication/mover",
        "            keys = keys[len(entries) :]\n",
        "            keys = []\n",
        f"{MOVER}::test_a_pull_of_many_answers_brings_every_record",
    ),
    _engine(
        "replication/mover",
        "return newer and hlc_of(version) < before",
        "return newer",
        f"{MOVER}::test_records_younger_than_asked_for_are_skipped",
    ),
    _engine(
        "replication/mover",
        " or [entry.key for entry in entries] != keys[: len(entries)]",
        "",
        f"{MOVER}::test_an_answer_to_something_else_cuts_the_pull",
    ),
    _engine(
        "replication/mover",
        "            if reply.corrupt:\n",
        "            if False:\n",
        f"{MOVER}::test_a_damaged_record_of_the_source_is_not_taken_and_named",
    ),
    _engine(
        "replication/anti_entropy",
        "self._hlc.now() - hlc_from_ms(YOUNG_MS)",
        "self._hlc.now()",
        f"{ROUNDS}::test_a_write_that_is_still_on_its_way_is_not_pulled",
    ),
    _engine(
        "replication/mover",
        "            if reply.corrupt:\n",
        "            if False:\n",
        f"{MOVER}::test_an_entry_whose_acceptor_state_is_damaged_is_not_taken",
    ),
    _engine(
        "replication/anti_entropy",
        "            return False\n        self._metrics.digest_mismatches",
        "            differing, unlearned = [], None\n        self._metrics.digest_mismatches",
        f"{ROUNDS}::test_a_pull_that_is_cut_moves_no_row",
    ),
    _engine(
        "replication/anti_entropy",
        "            self._note(view, peer, began if",
        "            self._note(view, peer, self._hlc.now() if",
        f"{ROUNDS}::test_a_row_says_when_the_pull_began_not_when_it_ended",
    ),
    _engine(
        "replication/anti_entropy",
        "        if len(slots) == len(shared):\n",
        "        if True:\n",
        f"{ROUNDS}::test_slots_of_a_change_are_left_to_their_transfer_and_the_row_stays",
    ),
    _engine(
        "replication/anti_entropy",
        "(CallError, PullCutError, StorageError) as error",
        "(CallError, PullCutError) as error",
        f"{PULLS}::test_a_full_queue_of_the_writer_ends_nothing",
    ),
    _engine(
        "cluster/stable_time",
        "return row if of_epoch == epoch else {}",
        "return row",
        f"{STABLE}::test_a_row_counts_only_under_the_epoch_in_which_it_was_pulled",
    ),
    # joining: pulled means durable, of this change, from sources that have it all
    _engine(
        "replication/slot_transfer",
        "        began = self._hlc.tick()\n",
        "        began = self._hlc.tick()\n"
        "        await self._finish(view, progress, sources, slot)\n",
        f"{TRANSFER}::test_a_slot_whose_source_refuses_is_not_pulled_and_holds_up_no_other",
    ),
    _engine(
        "replication/slot_transfer",
        "for source in sources:",
        "for source in sources[:1]:",
        f"{TRANSFER}::test_two_others_stand_in_for_a_source_whose_copy_is_damaged",
    ),
    _engine(
        "replication/slot_transfer",
        "self._mover.finish(view, slot, floor=page.floor)",
        "self._mover.finish(view, slot)",
        f"{TRANSFER}::test_old_records_below_the_floor_come_and_the_floor_after_them",
    ),
    _engine(
        "replication/slot_transfer",
        " if (source, slot) not in self._damaged}",
        "}",
        f"{TRANSFER}::test_two_others_stand_in_for_a_source_whose_copy_is_damaged",
    ),
    _engine(
        "replication/transfer_progress",
        "raw is not None and _checkpoint.decode(raw).change == change",
        "raw is not None",
        f"{GAINS}::test_a_checkpoint_of_another_change_counts_for_nothing",
    ),
    _engine(
        "upkeep/slot_gc",
        "if len(seen) == 1]",
        "]",
        "tests/simulation/test_unowned_slots.py::test_an_unowned_slot_is_kept_while_its_replicas_differ",
    ),
    _engine(
        "upkeep/slot_gc",
        "            and self._clock.now() - self._since >= self.drop_after_s\n",
        "",
        "tests/simulation/test_unowned_slots.py"
        "::test_unowned_slots_are_dropped_after_a_while_and_no_others",
    ),
    _engine(
        "replication/throttle",
        "min(max(missing_s, WAIT_MIN_S), RECHECK_S)",
        "min(missing_s, RECHECK_S)",
        f"{PACE}::test_no_wait_is_too_short_to_end",
    ),
    # health: a full restart can end, a minority turns clients away
    _engine(
        "upkeep/health",
        "self.pulled_once() or self.clock.now() - self.started_at > FIRST_ROUND_S",
        "self.pulled_once()",
        f"{HEALTH}::test_a_node_that_cannot_pull_is_ready_after_a_while",
    ),
    _engine(
        "upkeep/health",
        "if 2 * reached > len(members):",
        "if 3 * reached >= len(members):",
        f"{HEALTH}::test_a_node_without_a_majority_turns_clients_away_in_two_steps",
    ),
    # gossiping: old news that others repeat are no alarm
    _engine(
        "upkeep/gossip",
        "            own = state.store == said_by\n",
        "            own = True\n",
        f"{GOSSIP}::test_only_what_a_store_says_of_itself_shows_its_disk",
    ),
    # timers: what fails is tried again, and ends no node
    _engine(
        "upkeep/timers",
        "except (StorageError, IndexUnreadableError)",
        "except IndexUnreadableError",
        f"{UNOWNED}::test_garbage_collection_that_finds_the_writer_busy_is_tried_again",
    ),
    _engine(
        "upkeep/timers",
        "except (StorageError, IndexUnreadableError)",
        "except StorageError",
        f"{UNOWNED}::test_an_index_that_cannot_be_swept_is_left_for_the_next_time",
    ),
    _engine(
        "upkeep/timers",
        "clockwork.create_task(self._look())\n            clockwork.create_task(self._clean())",
        "await self._clean()\n            clockwork.create_task(self._look())",
        f"{UNOWNED}::test_garbage_collection_that_takes_long_makes_no_node_unready",
    ),
]
