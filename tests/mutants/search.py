"""The rules that keep lists true, each taken away once."""

from mutants.mutant import Mutant

_QUERYING = "tests/unit/search/test_querying.py"
_MERGE = "tests/unit/search/test_page_merge.py"
_INDEX = "tests/unit/search/test_index.py"
_INDEXER = "tests/unit/search/test_indexer.py"
_EPOCHS = "tests/simulation/test_epochs.py"

MUTANTS = [
    # A missing field matches only what asks for its absence, and true is not 1.
    Mutant(
        file="node_image/spine_core/records/filter_tree.py",
        old='return test.op in ("$ne", "$nin") or',
        new='return test.op == "$ne" or',
        killed_by="tests/unit/core/records/test_filters.py::test_a_filter_finds_the_memory_it_describes",
    ),
    Mutant(
        file="node_image/spine_core/records/filter_tree.py",
        old=" and not isinstance(value, bool)",
        new="",
        killed_by="tests/unit/core/records/test_filters.py"
        "::test_a_filter_leaves_out_what_it_does_not_describe",
    ),
    # The feed position moves in the transaction that writes the rows, not after it …
    Mutant(
        file="node_image/spine_node/search/applier.py",
        old="            if position is not None:\n",
        new='            self._connection.execute("COMMIT")\n'
        '            self._connection.execute("BEGIN")\n'
        "            if position is not None:\n",
        killed_by=f"{_INDEXER}::test_rows_and_position_change_together_or_not_at_all",
    ),
    # … nor before it.
    Mutant(
        file="node_image/spine_node/search/applier.py",
        old='        self._connection.execute("BEGIN IMMEDIATE")\n',
        new='        self._connection.execute("UPDATE meta SET position = ?", (position,))\n'
        '        self._connection.execute("BEGIN IMMEDIATE")\n',
        killed_by=f"{_INDEXER}::test_rows_and_position_change_together_or_not_at_all",
    ),
    # Tables of another layout are no index.
    Mutant(
        file="node_image/spine_node/search/schema.py",
        old='        if connection.execute("PRAGMA user_version").fetchone() != (FORMAT,):\n'
        "            return None\n",
        new="",
        killed_by=f"{_INDEXER}::test_a_file_that_is_no_sound_index_is_made_anew[older]",
    ),
    # A changed record leaves the lists of its old terms, and no row takes the number of another.
    Mutant(
        file="node_image/spine_node/search/applier.py",
        old="        self._change(_LEAVE, old, same)\n",
        new="",
        killed_by=f"{_INDEXER}::test_a_rebuilt_index_equals_one_that_followed_the_feed",
    ),
    Mutant(
        file="node_image/spine_node/search/applier.py",
        old="        return {ms: number + 1 for ms, number in taken if number is not None}\n",
        new="        return {}\n",
        killed_by=f"{_INDEXER}::test_a_rebuilt_index_equals_one_that_followed_the_feed",
    ),
    # Numbers do not order what was created in one millisecond.
    Mutant(
        file="node_image/spine_node/search/walks.py",
        old="        yield from sorted(tied, key=_id, reverse=reverse)\n",
        new="        yield from tied\n",
        killed_by=f"{_INDEX}::test_ties_are_ordered_by_namespace_and_id",
    ),
    # A term says where to look, the row what it holds.
    Mutant(
        file="node_image/spine_node/search/plan.py",
        old='fits=_joined(" AND ", [alive, *known])',
        new="fits=alive",
        killed_by=f"{_INDEX}::test_texts_that_share_a_term_are_told_apart",
    ),
    Mutant(
        file="node_image/spine_node/search/plan.py",
        old='    if SEPARATOR in str(tag):\n        return Sql("0")  # it would be found across two tags\n',
        new="",
        killed_by=f"{_INDEX}::test_two_tags_are_not_one_with_a_line_end",
    ),
    # A rebuild has no position before its last page.
    Mutant(
        file="node_image/spine_node/search/indexer.py",
        old="await self._on_thread(partial(self._file.write, entries, None))\n            self",
        new="await self._on_thread(partial(self._file.write, entries, head))\n            self",
        killed_by=f"{_INDEXER}::test_an_index_that_was_not_finished_is_not_used",
    ),
    # A position proves nothing once the feed behind it is gone.
    Mutant(
        file="node_image/spine_node/store/subscription.py",
        old="if not entries or entries[0].seq != position + 1:",
        new="if not entries:",
        killed_by=f"{_INDEXER}::test_an_index_behind_the_oldest_feed_entry_is_made_anew",
    ),
    # What could not be written is read from the feed again.
    Mutant(
        file="node_image/spine_node/search/indexer.py",
        old="            await self._show(await self._read(keys), entries)\n"
        "            self._feed.advance(entries[-1].seq)\n",
        new="            self._feed.advance(entries[-1].seq)\n"
        "            await self._show(await self._read(keys), entries)\n",
        killed_by=f"{_INDEXER}"
        "::test_a_disk_that_is_full_keeps_the_index_waiting_and_not_rebuilding",
    ),
    # A disk that is full damages no index, and making it anew would not help.
    Mutant(
        file="node_image/spine_node/search/schema.py",
        old="    return code is None or code & 0xFF not in _PASSING or code in _UNREADABLE\n",
        new="    return True\n",
        killed_by=f"{_INDEXER}"
        "::test_a_disk_that_is_full_keeps_the_index_waiting_and_not_rebuilding",
    ),
    Mutant(  # numbers of strings that a failed commit has taken back
        file="node_image/spine_node/search/applier.py",
        old="            self._namespaces.clear()  # numbers given in this transaction are void\n",
        new="",
        killed_by=f"{_INDEXER}"
        "::test_a_disk_that_is_full_keeps_the_index_waiting_and_not_rebuilding",
    ),
    # A slot with a record that cannot be read has not answered.
    Mutant(
        file="node_image/spine_node/search/index_file.py",
        old="        return damaged_entry(key)\n",
        new="        return entry_of(key, None)\n",
        killed_by=f"{_INDEXER}::test_a_record_that_cannot_be_read_is_no_answer_for_its_slot",
    ),
    Mutant(  # not after a restart either
        file="node_image/spine_node/search/index_file.py",
        old="        self._applier.load()\n",
        new="",
        killed_by=f"{_INDEXER}::test_a_record_that_cannot_be_read_is_no_answer_for_its_slot",
    ),
    # An index belongs to one store.
    Mutant(
        file="node_image/spine_node/search/schema.py",
        old="return row[1] if row and row[0] == store_id else None",
        new="return row[1] if row else None",
        killed_by=f"{_INDEXER}::test_the_index_of_another_store_is_made_anew",
    ),
    # The record decides, not the row.
    Mutant(
        file="node_image/spine_node/search/gathering.py",
        old="if self._exact and record.version == row.version:",
        new="if self._exact:",
        killed_by=f"{_INDEX}::test_a_row_older_than_its_record_is_judged_by_the_record",
    ),
    Mutant(
        file="node_image/spine_node/search/gathering.py",
        old="        if is_absent(record, self._call.now_ms):\n            return None\n",
        new="",
        killed_by=f"{_INDEX}::test_a_deleted_memory_is_never_shown_however_old_the_index_is",
    ),
    # A store answers only for the slots it is told.
    Mutant(
        file="node_image/spine_node/search/gathering.py",
        old="if row.fits and self._asked >> row.slot & 1:",
        new="if row.fits:",
        killed_by=f"{_INDEX}::test_a_store_answers_only_for_the_slots_it_is_told",
    ),
    Mutant(
        file="node_image/spine_node/search/index.py",
        old=" or not asked >> slot & 1",
        new="",
        killed_by=f"{_INDEX}::test_an_own_write_counts_only_in_a_slot_the_store_answers_for",
    ),
    Mutant(
        file="node_image/spine_node/search/index.py",
        old="if key_hash(namespace, memory_id) != hashed or ",
        new="if ",
        killed_by=f"{_INDEX}::test_own_writes_are_known_by_version_whether_they_live_or_not",
    ),
    Mutant(
        file="node_image/spine_node/search/index.py",
        old=" or key in self._indexer.damaged:",
        new=":",
        killed_by=f"{_INDEXER}::test_a_record_that_cannot_be_read_is_no_answer_for_its_slot",
    ),
    Mutant(  # a change is remembered when it is shown, not when it is read
        file="node_image/spine_node/search/indexer.py",
        old="            await self._show(await self._read(keys), entries)\n",
        new="            self.recent.note((entry.version, entry.key) for entry in entries)\n"
        "            await self._show(await self._read(keys), entries)\n",
        killed_by=f"{_INDEXER}::test_a_disk_that_is_full_keeps_the_index_waiting_and_not_rebuilding",
    ),
    Mutant(
        file="node_image/spine_node/search/index.py",
        old="return raw is not None and version_in(raw) >= version",
        new="return True",
        killed_by=f"{_INDEX}::test_an_own_write_that_the_store_has_dropped_does_not_count",
    ),
    Mutant(
        file="node_image/spine_node/search/index.py",
        old="            unknown=unknown,",
        new="            unknown=tuple(n[0] for n in call.needs if not self._shows(n, asked)),",
        killed_by=f"{_INDEX}::test_an_own_write_that_comes_behind_the_walk_does_not_count",
    ),
    # A list for a session shows every own write.
    Mutant(
        file="node_image/spine_node/engine/query/list_coordinator.py",
        old="                if not self._unmet:",
        new="                if True:",
        killed_by=f"{_QUERYING}::test_an_own_write_is_listed_on_a_node_that_missed_it",
    ),
    Mutant(
        file="node_image/spine_node/engine/query/list_coordinator.py",
        old="return None if past.o else past.writes",
        new="return past.writes",
        killed_by=f"{_QUERYING}::test_a_session_that_forgot_some_of_its_writes_is_served_by_a_majority",
    ),
    # A union alone brings deleted records back.
    Mutant(
        file="node_image/spine_node/engine/query/page_merge.py",
        old="agreed=agreed)",
        new="agreed=True)",
        killed_by=f"{_QUERYING}::test_a_record_deleted_on_a_quorum_is_not_brought_back",
    ),
    Mutant(
        file="node_image/spine_node/engine/query/page_merge.py",
        old=" and len(versions) == 1",
        new="",
        killed_by=f"{_QUERYING}::test_replicas_that_agree_cost_no_quorum_read",
    ),
    # Damage is no absence.
    Mutant(
        file="node_image/spine_node/search/gathering.py",
        old="            return DAMAGED\n",
        new="            return None\n",
        killed_by=f"{_QUERYING}::test_a_damaged_copy_is_no_gap_in_a_list",
    ),
    Mutant(
        file="node_image/spine_node/engine/query/page_merge.py",
        old="return StoreAnswer(store, asked & ~damaged,",
        new="return StoreAnswer(store, asked,",
        killed_by=f"{_QUERYING}::test_a_damaged_copy_is_no_gap_in_a_list",
    ),
    Mutant(
        file="node_image/spine_node/engine/query/page_merge.py",
        old="        damaged = slots_of_bytes(page.damaged)\n",
        new="        damaged = 0\n",
        killed_by=f"{_MERGE}::test_a_store_does_not_answer_for_a_slot_with_a_record_it_cannot_read",
    ),
    Mutant(
        file="node_image/spine_node/engine/query/page_merge.py",
        old="        if not answer.damaged:\n",
        new="        if True:\n",
        killed_by=f"{_QUERYING}::test_what_a_store_with_damage_shows_proves_no_own_write",
    ),
    Mutant(
        file="node_image/spine_node/engine/query/page_merge.py",
        old="agreed = answered <= copies.keys()",
        new="agreed = len(answered) <= len(copies)",
        killed_by=f"{_QUERYING}"
        "::test_a_copy_beside_a_damaged_one_does_not_stand_for_a_replica_that_answers",
    ),
    Mutant(
        file="node_image/spine_node/engine/query/coverage.py",
        old="_count(layers, slots & ~damaged.get(store, 0))",
        new="_count(layers, slots)",
        killed_by=f"{_QUERYING}"
        "::test_a_damaged_record_without_another_copy_is_a_slot_that_did_not_answer",
    ),
    # Nothing behind the first end of a page is decided yet.
    Mutant(
        file="node_image/spine_node/engine/query/page_merge.py",
        old="    first = max if order",
        new="    first = min if order",
        killed_by=f"{_QUERYING}::test_pages_of_many_stores_join_without_gap_or_overlap",
    ),
    # No store is asked twice for one slot.
    Mutant(
        file="node_image/spine_node/engine/query/coverage.py",
        old=" & ~self._asked.get(store, 0)",
        new="",
        killed_by="tests/unit/search/test_covering.py::test_who_failed_is_not_asked_again",
    ),
    # A page is gathered under one epoch, at home and elsewhere.
    Mutant(
        file="node_image/spine_node/engine/query/query_replicas.py",
        old="return page if view is self._membership.view else None",
        new="return page",
        killed_by=f"{_EPOCHS}::test_a_page_that_an_adoption_overtakes_is_no_answer",
    ),
    Mutant(
        file="node_image/spine_node/engine/query/query_replicas.py",
        old="        self._replica.check_epoch(header.epoch)\n        return page\n",
        new="        return page\n",
        killed_by=f"{_EPOCHS}::test_a_page_that_an_adoption_overtakes_is_no_answer",
    ),
    # A page token is of one list.
    Mutant(
        file="node_image/spine_node/engine/query/page_tokens.py",
        old="    if token.of != _list_of(request):",
        new="    if token.of.order != request.order:",
        killed_by=f"{_QUERYING}::test_a_page_token_is_refused_by_any_other_list",
    ),
]
