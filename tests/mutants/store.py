"""Safety rules of the store, each removed in turn."""

from mutants.mutant import Mutant

_STORE = "node_image/spine_node/store"
_TESTS = "tests/unit/store"

MUTANTS = [
    # What waits for a disk that hangs is bounded, in number and in bytes.
    Mutant(
        file="node_image/spine_node/store/writer.py",
        old="len(self._waiting) >= self._waiting_max\n            or ",
        new="",
        killed_by="tests/unit/store/test_full_disk.py"
        "::test_a_disk_that_hangs_fills_no_memory_without_end",
    ),
    Mutant(
        file="node_image/spine_node/store/writer.py",
        old="\n            or self._waiting_bytes + size > self._waiting_bytes_max",
        new="",
        killed_by="tests/unit/store/test_full_disk.py"
        "::test_a_disk_that_hangs_fills_no_memory_without_end",
    ),
    Mutant(
        file="node_image/spine_node/store/writer.py",
        old="        self._waiting_bytes -= sum(size for _, size in done)\n",
        new="",
        killed_by="tests/unit/store/test_full_disk.py"
        "::test_a_disk_that_hangs_fills_no_memory_without_end",
    ),
    Mutant(  # R1: a put of another epoch is applied
        file=f"{_STORE}/checks.py",
        old="    verdict = judge_epoch(epoch, draft.state.epoch)\n",
        new="    verdict = EpochVerdict.OK\n",
        killed_by=f"{_TESTS}/test_puts.py::test_a_put_of_another_epoch_is_refused",
    ),
    Mutant(  # one record of a group that is refused is acknowledged with the others
        file=f"{_STORE}/execution.py",
        old="            refused.append(RefusedPut(position, *why))\n",
        new="            pass\n",
        killed_by=f"{_TESTS}/test_puts.py"
        "::test_one_put_of_a_group_that_is_refused_leaves_the_others_alone",
    ),
    Mutant(  # R2: the epoch switches when it is seen, not where it stands in the queue
        file=f"{_STORE}/draft.py",
        old="state.epoch, state.document, state.owned = adopt.epoch, adopt.document, adopt.owned\n",
        new="state.document = adopt.document\n",
        killed_by=f"{_TESTS}/test_adoption.py"
        "::test_slots_and_epoch_switch_exactly_where_the_adoption_stands_in_the_queue",
    ),
    Mutant(  # R2: an adoption that a restart forgets
        file=f"{_STORE}/draft.py",
        old='        self._set(meta, b"epoch", pack_u64(adopt.epoch))\n',
        new="",
        killed_by=f"{_TESTS}/test_adoption.py::test_an_adoption_is_durable_before_it_is_answered",
    ),
    Mutant(  # epochs only grow
        file=f"{_STORE}/execution.py",
        old="    if operation.epoch < state.epoch:\n",
        new="    if operation.epoch < 0:\n",
        killed_by=f"{_TESTS}/test_adoption.py::test_epochs_only_grow_and_never_fork",
    ),
    Mutant(  # a store serves the slots that its document gives it
        file=f"{_STORE}/checks.py",
        old="    return slot in draft.state.owned\n",
        new="    return True\n",
        killed_by=f"{_TESTS}/test_puts.py::test_a_slot_of_somebody_else_is_misdirected",
    ),
    Mutant(  # an owned slot is never dropped
        file=f"{_STORE}/execution.py",
        old="    if operation.slot in draft.state.owned:\n",
        new="    if operation.slot < 0:\n",
        killed_by=f"{_TESTS}/test_adoption.py::test_only_a_slot_that_is_not_owned_can_be_dropped",
    ),
    Mutant(  # no fsync before the acknowledgement
        file=f"{_STORE}/opening.py",
        old="max_dbs=len(Tables._fields), ",
        new="max_dbs=len(Tables._fields), sync=False, ",
        killed_by=f"{_TESTS}/test_opening.py::test_the_disk_is_asked_to_keep_what_it_is_given",
    ),
    Mutant(  # acknowledged before the commit
        file=f"{_STORE}/writer.py",
        old="            return self._perform(batch)\n",
        new="            early = [PutReply('ok') for _ in batch]\n"
        "            self._loop.call_soon_threadsafe(self._deliver, early, None)\n"
        "            return [], self._perform(batch)[1]\n",
        killed_by=f"{_TESTS}/test_puts.py::test_nothing_is_acknowledged_or_seen_before_its_commit",
    ),
    Mutant(  # acknowledged before the commit, as a crash shows it
        file=f"{_STORE}/writer.py",
        old="            return self._perform(batch)\n",
        new="            early = [PutReply('ok') for _ in batch]\n"
        "            self._loop.call_soon_threadsafe(self._deliver, early, None)\n"
        "            return [], self._perform(batch)[1]\n",
        killed_by=f"{_TESTS}/test_crashes.py::test_everything_acknowledged_survives_a_kill",
    ),
    Mutant(  # acknowledged before digests and feed know
        file=f"{_STORE}/writer.py",
        old="            self._publish(effect)\n",
        new="            self._loop.call_soon(self._loop.call_soon, self._publish, effect)\n",
        killed_by=f"{_TESTS}/test_puts.py"
        "::test_digest_and_feed_are_there_before_the_acknowledgement",
    ),
    Mutant(  # a restarted clock issues values twice
        file=f"{_STORE}/draft.py",
        old='            self._txn.put(b"high_water", pack_u64(state.high_water), '
        "db=self._tables.meta)\n",
        new="            pass\n",
        killed_by=f"{_TESTS}/test_opening.py"
        "::test_the_clock_starts_above_everything_issued_or_stored",
    ),
    Mutant(  # a restarted clock falls behind what is stored
        file=f"{_STORE}/draft.py",
        old="        self.state.high_water = max(self.state.high_water, hlc_of(version))\n",
        new="",
        killed_by=f"{_TESTS}/test_opening.py"
        "::test_the_clock_starts_above_everything_issued_or_stored",
    ),
    Mutant(  # the late rule
        file=f"{_STORE}/execution.py",
        old="        kind=kind,\n",
        new="        kind=PutKind.WRITE_BACK,\n",
        killed_by=f"{_TESTS}/test_puts.py"
        "::test_a_put_past_its_deadline_is_late_but_a_write_back_is_not",
    ),
    Mutant(  # G1 in puts
        file=f"{_STORE}/execution.py",
        old="        floor=draft.floor(record.slot),\n",
        new="        floor=0,\n",
        killed_by=f"{_TESTS}/test_puts.py::test_a_record_not_held_at_or_below_the_floor_is_late",
    ),
    Mutant(  # G1 in recurring pulls
        file=f"{_STORE}/execution.py",
        old="        return operation.full_transfer or hlc_of(version) > draft.floor(operation.slot)\n",
        new="        return True\n",
        killed_by=f"{_TESTS}/test_merge.py::test_a_recurring_pull_brings_no_purged_record_back",
    ),
    Mutant(  # a joiner with the floor first would ignore every old record
        file=f"{_STORE}/execution.py",
        old="        return operation.full_transfer or hlc_of(version) > draft.floor(operation.slot)\n",
        new="        return hlc_of(version) > draft.floor(operation.slot)\n",
        killed_by=f"{_TESTS}/test_floors.py"
        "::test_a_full_transfer_goes_on_below_a_floor_that_is_there_already",
    ),
    Mutant(  # floors never fall
        file=f"{_STORE}/execution.py",
        old="    if hlc <= draft.floor(slot):\n        return 0\n",
        new="",
        killed_by=f"{_TESTS}/test_floors.py::test_a_floor_never_falls_and_is_durable",
    ),
    Mutant(  # the floor comes last, and comes
        file=f"{_STORE}/execution.py",
        within="finish_pull",
        old="    _raise_floor(draft, operation.slot, operation.floor)\n",
        new="",
        killed_by=f"{_TESTS}/test_merge.py"
        "::test_a_full_transfer_takes_old_records_and_then_the_floor",
    ),
    Mutant(  # damaged records are not spread
        file=f"{_STORE}/execution.py",
        old=" or not (raw is None or is_intact(raw)):",
        new=":",
        killed_by=f"{_TESTS}/test_merge.py"
        "::test_a_damaged_record_is_never_stored_and_never_deletes",
    ),
    Mutant(  # U1: acceptor state alone refuses
        file=f"{_STORE}/execution.py",
        old="        has_register=draft.has_register(key),\n",
        new="        has_register=False,\n",
        killed_by=f"{_TESTS}/test_puts.py::test_acceptor_state_alone_refuses_weak_puts",
    ),
    Mutant(  # after a failed fsync nobody knows what the disk holds
        file=f"{_STORE}/committer.py",
        old="        if cause is Cause.BROKEN:\n",
        new="        if cause is None:\n",
        killed_by=f"{_TESTS}/test_full_disk.py"
        "::test_a_disk_that_fails_ends_all_writing_and_no_reading",
    ),
    Mutant(  # a short write is a full disk, not a broken one
        file=f"{_STORE}/space.py",
        old="        self._stuck = not self._can_grow(needed_bytes)\n"
        "        return Cause.FULL if self._stuck else Cause.PASSED\n",
        new="        return Cause.BROKEN\n",
        killed_by=f"{_TESTS}/test_short_writes.py"
        "::test_writes_refused_by_a_full_disk_are_taken_again_when_it_has_space",
    ),
    Mutant(  # a quota of the file system is a full disk too
        file=f"{_STORE}/space.py",
        old="errno.EDQUOT, ",
        new="",
        killed_by=f"{_TESTS}/test_short_writes.py::test_every_error_that_means_no_space_is_one",
    ),
    Mutant(  # no fsync is believed after one that failed, on a full disk neither
        file=f"{_STORE}/space.py",
        old=" or not self._was_written_back()",
        new="",
        killed_by=f"{_TESTS}/test_short_writes.py"
        "::test_a_disk_that_lost_what_it_was_given_is_broken_however_full_it_is",
    ),
    Mutant(  # a disk that fails with space left is broken
        file=f"{_STORE}/committer.py",
        old="        for attempt in range(ATTEMPTS):\n",
        new="        for attempt in range(2 * ATTEMPTS):\n",
        killed_by=f"{_TESTS}/test_short_writes.py::test_a_disk_that_has_space_and_fails_is_broken",
    ),
    Mutant(  # a disk that others fill is full before it is
        file=f"{_STORE}/committer.py",
        old="        return max(self.space_on_disk(), space_in_quota(used, self._quota_bytes))\n",
        new="        return space_in_quota(used, self._quota_bytes)\n",
        killed_by=f"{_TESTS}/test_short_writes.py"
        "::test_a_disk_filled_by_others_turns_clients_away_and_takes_them_again",
    ),
    Mutant(  # a disk that has space again is not full for ever
        file=f"{_STORE}/committer.py",
        old="        self.disk.recheck()\n",
        new="",
        killed_by=f"{_TESTS}/test_short_writes.py"
        "::test_writes_refused_by_a_full_disk_are_taken_again_when_it_has_space",
    ),
    Mutant(  # a full node that nobody may ask cannot be emptied
        file="node_image/spine_node/engine/upkeep/health.py",
        old='status in {"ok", "full"}',
        new='status == "ok"',
        killed_by="tests/unit/engine/upkeep/test_health.py"
        "::test_a_full_node_says_so_and_stays_ready_or_nobody_could_empty_it",
    ),
    Mutant(  # clients stop before the space that pulls need is gone
        file=f"{_STORE}/checks.py",
        old="    limit = Space.LOW if client else Space.OUT\n",
        new="    limit = Space.OUT\n",
        killed_by=f"{_TESTS}/test_full_disk.py"
        "::test_a_low_disk_turns_clients_away_first_then_peers_and_deletions_never",
    ),
    Mutant(  # a full disk still takes deletions, or it could never be emptied
        file=f"{_STORE}/checks.py",
        old=" or bool(header_of(raw).flags & FLAG_TOMBSTONE)\n",
        new="\n",
        killed_by=f"{_TESTS}/test_full_disk.py"
        "::test_a_low_disk_turns_clients_away_first_then_peers_and_deletions_never",
    ),
    Mutant(  # a batch that failed leaves nothing behind in memory
        file=f"{_STORE}/committer.py",
        old="            self.state = self._load()\n",
        new="            self._load()\n",
        killed_by=f"{_TESTS}/test_full_disk.py"
        "::test_a_batch_that_does_not_fit_is_refused_whole_and_the_next_is_not",
    ),
    Mutant(  # digests of a crashed run are not trusted
        file=f"{_STORE}/opening.py",
        old='        was_clean = txn.delete(b"clean")\n',
        new='        was_clean = txn.get(b"clean") is not None\n',
        killed_by=f"{_TESTS}/test_opening.py::test_a_crash_after_a_clean_start_is_seen_as_one",
    ),
    Mutant(  # buried records are in no digest
        file=f"{_STORE}/draft.py",
        old="        if not is_buried(raw, self.floor(slot)):\n",
        new="        if not raw:\n",
        killed_by=f"{_TESTS}/test_floors.py"
        "::test_two_replicas_agree_whatever_one_of_them_has_purged_already",
    ),
    Mutant(  # one process at a time
        file=f"{_STORE}/opening.py",
        old="        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)\n",
        new="        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)\n",
        killed_by=f"{_TESTS}/test_opening.py::test_a_second_opener_is_told_who_has_the_store",
    ),
    Mutant(  # a trimmed feed that starts at 1 again would hide changes from every cursor
        file=f"{_STORE}/draft.py",
        old="        while removed < limit and 0 < unpack_u64(cursor.key()) < self.state.feed_head:\n",
        new="        while removed < limit and cursor.key():\n",
        killed_by=f"{_TESTS}/test_feed.py::test_old_entries_are_trimmed_but_never_the_newest",
    ),
    # A data file that is not whole is refused before LMDB maps it.
    Mutant(
        file=f"{_STORE}/page_check.py",
        within="_Walk._expect",
        old="        if (number + pages) * self._page_bytes > self._size:\n",
        new="        if (number + pages) * self._page_bytes > self._size * 1000:\n",
        killed_by=f"{_TESTS}/test_damage.py"
        "::test_a_cut_file_is_refused_wherever_it_is_cut_unless_nothing_is_missing",
    ),
    Mutant(  # a short file is walked whole
        file=f"{_STORE}/page_check.py",
        within="_Walk.__init__",
        old="        self._leaves_left = leaves_max if whole else self._size",
        new="        self._leaves_left = 0",
        killed_by=f"{_TESTS}/test_damage.py"
        "::test_a_cut_file_is_refused_wherever_it_is_cut_unless_nothing_is_missing",
    ),
    Mutant(
        file=f"{_STORE}/page_check.py",
        within="_Walk._page",
        old="        if (found, flags) != (number, kind) or not sound:\n",
        new="        if not sound:\n",
        killed_by=f"{_TESTS}/test_damage.py"
        "::test_a_page_of_something_else_is_refused_or_read_by_nobody",
    ),
    Mutant(
        file=f"{_STORE}/opening.py",
        old="    check_pages(path / DATA_FILE)\n",
        new="",
        killed_by="tests/unit/starting/test_starting.py"
        "::test_files_that_do_not_fit_together_are_refused_in_one_line",
    ),
    # A lost store is no new one, and what was open to others before does not stay so.
    Mutant(
        file="node_image/spine_node/data_directory.py",
        old="    _check_store_is_there(data)\n",
        new="",
        killed_by="tests/unit/starting/test_data_directory.py"
        "::test_an_index_without_its_store_is_no_new_node",
    ),
    Mutant(
        file="node_image/spine_node/data_directory.py",
        old="        chmod(path, mode & ~bits)\n",
        new="        return\n",
        killed_by="tests/unit/starting/test_data_directory.py"
        "::test_what_was_there_before_is_closed_and_told",
    ),
    Mutant(
        file="node_image/spine_node/data_directory.py",
        old="        if may_stay or not mode & stat.S_IRWXO:\n",
        new="        if mode:\n",
        killed_by="tests/unit/starting/test_data_directory.py"
        "::test_what_we_may_not_close_is_refused_by_name",
    ),
    Mutant(
        file=f"{_STORE}/opening.py",
        old=", mode=0o600\n",
        new="\n",
        killed_by=f"{_TESTS}/test_opening.py::test_the_directory_and_its_files_are_nobody_elses",
    ),
    # A follower of the feed is told of a gap, also of one that opens while it follows.
    Mutant(  # a follower that runs ahead of what the store shows ends the node
        file=f"{_STORE}/subscription.py",
        old="[entry for entry in entries if entry.seq <= head]",
        new="entries",
        killed_by=f"{_TESTS}/test_subscription.py"
        "::test_a_commit_that_is_not_shown_yet_is_read_the_next_time",
    ),
    Mutant(
        file=f"{_STORE}/subscription.py",
        old="if not entries or entries[0].seq != position + 1:",
        new="if not entries:",
        killed_by=f"{_TESTS}/test_subscription.py"
        "::test_a_follower_that_the_feed_has_left_behind_is_told",
    ),
    Mutant(
        file=f"{_STORE}/subscription.py",
        old="if not entries or entries[0].seq != position + 1:",
        new="if entries and entries[0].seq != position + 1:",
        killed_by=f"{_TESTS}/test_subscription.py"
        "::test_a_position_that_does_not_lead_on_has_expired",
    ),
    Mutant(  # a data file does not shrink: what was deleted is the space that is left
        file=f"{_STORE}/committer.py",
        old="        self._reusable = max(0, pages * self._page_bytes - used)\n",
        new="        self._reusable = 0 * pages\n",
        killed_by=f"{_TESTS}/test_short_writes.py::test_what_was_deleted_counts_as_space",
    ),
]
