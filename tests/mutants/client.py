"""Safety rules of the Python client and of `spine topology`, each removed in turn."""

from mutants.mutant import Mutant

_TESTS = "tests/unit/client"
_TOPOLOGY = "tests/unit/cli/test_topology.py"

MUTANTS = [
    Mutant(  # a directory filled by another node: W acknowledgements that are one disk
        file="node_image/spine_node/__main__.py",
        old="check_owner(node.membership.view, setup.options.seat, settings.data)",
        new="pass",
        killed_by="tests/unit/starting/test_starting.py"
        "::test_a_store_that_served_alone_never_serves_for_a_cluster",
    ),
    Mutant(  # a retry with a fresh key is a second write
        file="client/memory_spine/core.py",
        old="            **state.headers,\n",
        new="            **self._headers(call, state.sent),\n",
        killed_by=f"{_TESTS}/test_retries.py::test_what_may_pass_is_tried_again_with_the_same_key",
    ),
    Mutant(  # only the last attempt counts
        file="client/memory_spine/core.py",
        old="indeterminate = indeterminate or (state.call.write and outcome.may_have_been_applied)",
        new="indeterminate = state.call.write and outcome.may_have_been_applied",
        killed_by=f"{_TESTS}/test_retries.py"
        "::test_a_clean_refusal_does_not_unsay_an_attempt_that_may_have_been_applied",
    ),
    Mutant(  # retries without a bound pile up on a failing cluster
        file="client/memory_spine/core.py",
        old="return pause_s if self.budget.withdraw() else None",
        new="return pause_s",
        killed_by=f"{_TESTS}/test_retries.py"
        "::test_retries_stay_a_tenth_of_the_requests_when_the_reserve_is_used_up",
    ),
    Mutant(  # an answer makes the client forget what a parallel one taught it
        file="client/memory_spine/session.py",
        old="self._tokens = (*kept, token)",
        new="self._tokens = (token,)",
        killed_by=f"{_TESTS}/test_sessions.py"
        "::test_an_answer_replaces_only_the_tokens_its_request_carried",
    ),
    Mutant(  # who waits for a merge waits until its deadline
        file="client/memory_spine/session.py",
        old="        ended.set_result(None)\n",
        new="",
        killed_by=f"{_TESTS}/test_sessions.py::test_who_waits_for_a_merge_is_woken_by_its_end",
    ),
    Mutant(  # who finds the tokens merged by another thread waits for a merge that nobody makes
        file="client/memory_spine/core.py",
        old="        elif not session.merging:\n",
        new="        elif session.tokens == ():\n",
        killed_by=f"{_TESTS}/test_sessions.py"
        "::test_tokens_that_another_thread_made_few_are_not_waited_for",
    ),
    Mutant(  # more tokens than the header takes are cut off
        file="client/memory_spine/core.py",
        old="while len(session.tokens) > TOKENS_MAX:\n            yield from",
        new="while len(session.tokens) > 10 * TOKENS_MAX:\n            yield from",
        killed_by=f"{_TESTS}/test_sessions.py"
        "::test_more_tokens_than_a_request_may_carry_are_merged_first",
    ),
    Mutant(  # whoever reads the same connection gets another memory, and no error
        file="client/memory_spine/effects.py",
        old="    if echoed == sent:\n",
        new="    if sent:\n",
        killed_by=f"{_TESTS}/test_forks.py::test_an_answer_to_another_request_is_never_returned",
    ),
    Mutant(  # an answer about another memory is returned as the one that was asked for
        file="client/memory_spine/core.py",
        old="if isinstance(decoded, Memory) and call.memory_id not in {None, decoded.id}:",
        new="if isinstance(decoded, Memory) and call.memory_id == ():",
        killed_by=f"{_TESTS}/test_forks.py::test_an_answer_about_another_memory_is_never_returned",
    ),
    Mutant(  # parent and child read one connection
        file="client/memory_spine/forks.py",
        old="        owner.after_fork()\n",
        new="        del owner\n",
        killed_by=f"{_TESTS}/test_forks.py"
        "::test_a_lock_that_a_thread_of_the_parent_held_is_free_in_the_child",
    ),
    Mutant(  # a slow answer is thrown away when it comes for longer than an even share of the time
        file="client/memory_spine/deadline.py",
        old="        self._deadline.received()\n",
        new="",
        killed_by=f"{_TESTS}/test_deadlines.py::test_a_slow_answer_that_moves_is_fetched_once",
    ),
    Mutant(  # as before, for the client that awaits
        file="client/memory_spine/aiohttp_transport.py",
        old="            connection.protocol.read_timeout = None\n",
        new="            connection.protocol.read_timeout = 0.001\n",
        killed_by=f"{_TESTS}/test_deadlines.py::test_a_slow_answer_that_moves_is_fetched_once",
    ),
    Mutant(  # a limit of inactivity is taken for a deadline
        file="client/memory_spine/deadline.py",
        old="self._wrapped.settimeout(self._deadline.left_to_receive_s())",
        new="self._wrapped.settimeout(5.0)",
        killed_by=f"{_TESTS}/test_deadlines.py"
        "::test_an_answer_that_drips_ends_with_the_time_of_the_call",
    ),
    Mutant(  # as before, for the client that awaits
        file="client/memory_spine/aiohttp_transport.py",
        old="timeout(request.timeout_s):\n                async with self._request",
        new="timeout(None):\n                async with self._request",
        killed_by=f"{_TESTS}/test_deadlines.py"
        "::test_an_answer_that_drips_ends_with_the_time_of_the_call",
    ),
    Mutant(  # a child keeps its parent's connections open, and may read from them
        file="client/memory_spine/forks.py",
        old="                os.close(descriptor)\n",
        new="                del descriptor\n",
        killed_by=f"{_TESTS}/test_forks.py"
        "::test_the_child_holds_no_descriptor_of_its_parents_connections",
    ),
    Mutant(  # a view that is given back loses the embedding it left out
        file="client/memory_spine/models.py",
        old="kept = tuple(name for name in self.omitted if name not in changes)",
        new="kept = ()",
        killed_by=f"{_TESTS}/test_clients.py"
        "::test_a_view_that_is_given_back_asks_to_keep_what_it_leaves_out",
    ),
    Mutant(  # parallel writes leave a token that no header can carry
        file="client/memory_spine/core.py",
        old="        if len(session.tokens) > TOKENS_MAX:\n",
        new="        if len(session.tokens) > 1000 * TOKENS_MAX:\n",
        killed_by=f"{_TESTS}/test_sessions.py"
        "::test_parallel_writes_leave_a_session_token_that_one_header_can_carry",
    ),
    Mutant(  # the second request of a batch is taken for a repetition of the first
        file="client/memory_spine/batch.py",
        old='f"{self._key}.{count}"',
        new="self._key",
        killed_by=f"{_TESTS}/test_batches.py"
        "::test_more_operations_than_a_request_takes_go_in_several_with_keys_of_their_own",
    ),
    Mutant(  # a batch whose operations failed ends like one that succeeded
        file="client/memory_spine/batch.py",
        old="if failed and (check or cause is not None):",
        new="if failed and cause is not None:",
        killed_by=f"{_TESTS}/test_batches.py"
        "::test_an_operation_that_failed_raises_unless_the_caller_looks_itself",
    ),
    Mutant(  # DELETE .../memories/.. would be DELETE of the namespace
        file="client/memory_spine/core.py",
        old='if text in {"", ".", ".."}:',
        new='if text in {""}:',
        killed_by=f"{_TESTS}/test_clients.py"
        "::test_an_id_that_would_mean_another_resource_is_never_sent",
    ),
    Mutant(  # any 404, of whatever server, would mean "no such memory"
        file="client/memory_spine/core.py",
        old='    return UnexpectedAnswer(url, answer.status, f"not with',
        new='    return error_of({}, answer.status) or UnexpectedAnswer(url, answer.status, f"not with',
        killed_by=f"{_TESTS}/test_retries.py"
        "::test_a_404_that_is_no_problem_document_is_not_a_missing_memory",
    ),
    Mutant(  # two people publish two documents of one epoch
        file="client/spine_cli/document_file.py",
        old="if held is not None and held.digest() != document.previous:",
        new="if held is not None and held.epoch >= document.epoch + 9:",
        killed_by=f"{_TOPOLOGY}::test_a_document_is_replaced_only_by_its_successor",
    ),
    Mutant(  # whatever a node answers counts as adoption
        file="client/spine_cli/admin.py",
        old="            check_adopted(answer.body, document)\n",
        new="            pass\n",
        killed_by=f"{_TOPOLOGY}::test_a_node_that_adopted_something_else_has_not_adopted",
    ),
    Mutant(  # an outdated node's document is taken for the cluster's
        file="client/spine_cli/topology_controller.py",
        old="_, seat, store_id = max(joined)",
        new="_, seat, store_id = min(joined)",
        killed_by=f"{_TOPOLOGY}::test_without_a_local_document_the_newest_of_the_nodes_is_taken",
    ),
    Mutant(  # a script takes an indeterminate write for one that failed
        file="client/spine_cli/exits.py",
        within="exit_of",
        old="error.may_have_been_applied",
        new="False",
        killed_by="tests/unit/cli/test_commands.py"
        "::test_an_indeterminate_write_has_an_exit_code_of_its_own",
    ),
    Mutant(  # what a broken link took with it counts as never sent
        file="client/memory_spine/link.py",
        old="failure = ConnectionFailed(waiting.request.url, reason, sent=not unsent)",
        new="failure = ConnectionFailed(waiting.request.url, reason, sent=False)",
        killed_by=f"{_TESTS}/test_link_messages.py"
        "::test_what_was_sent_on_a_link_that_breaks_may_have_been_applied",
    ),
    Mutant(  # a slow node is sent whatever callers bring, without a bound
        file="client/memory_spine/link.py",
        old="full = min(self._under_way_bytes + MESSAGE_BYTES_FULL, UNDER_WAY_BYTES_MAX)",
        new="full = self._under_way_bytes + MESSAGE_BYTES_FULL",
        killed_by=f"{_TESTS}/test_link_messages.py"
        "::test_no_more_bytes_are_under_way_than_the_node_reads",
    ),
    Mutant(  # a call with less time waits as long as the one before it
        file="client/memory_spine/link.py",
        old="        if waiting.ends_s < self._look_s:\n",
        new="        if self._look_s == inf:\n",
        killed_by=f"{_TESTS}/test_link_messages.py::test_each_call_is_given_up_at_its_own_time",
    ),
    Mutant(  # after the first call that is given up, none is
        file="client/memory_spine/link.py",
        old="        self._look_at(min(",
        new="        print(min(",
        killed_by=f"{_TESTS}/test_link_messages.py::test_each_call_is_given_up_at_its_own_time",
    ),
    Mutant(  # a write that may have been applied is sent again by the transport itself
        file="client/memory_spine/link.py",
        old="            if refused:\n",
        new="            if True:\n",
        killed_by=f"{_TESTS}/test_link_messages.py"
        "::test_what_was_sent_on_a_link_that_breaks_may_have_been_applied",
    ),
    Mutant(  # a caller without a key acts with the key of the link
        file="client/memory_spine/link_frames.py",
        old='        headers["Authorization"] = ""  # not that of the link\n',
        new="        pass\n",
        killed_by=f"{_TESTS}/test_links.py::test_a_key_that_changes_is_used_on_the_open_link",
    ),
    Mutant(  # a change that may have been made is made again
        file="client/memory_spine/mutations.py",
        old='return refusal.outcome != "not-applied"',
        new="return False",
        killed_by=f"{_TESTS}/test_mutations.py"
        "::test_a_refusal_that_forgot_the_attempt_is_not_followed_by_another",
    ),
    Mutant(  # a creation that is under way may follow the change that took its place
        file="client/memory_spine/mutations.py",
        old="return refusal.may_have_been_applied",
        new='return refusal.outcome != "not-applied"',
        killed_by=f"{_TESTS}/test_mutations.py"
        "::test_a_creation_that_may_still_happen_is_not_followed_by_another_change",
    ),
    Mutant(  # what was created meanwhile is overwritten
        file="client/memory_spine/mutations.py",
        old="return Condition(create_only=True, fence=grant)",
        new="return Condition(fence=grant)",
        killed_by=f"{_TESTS}/test_mutations.py::test_what_is_not_there_is_created_and_only_then",
    ),
    Mutant(  # a stale read, on which every write is refused
        file="client/memory_spine/mutations.py",
        old="headers=_STRONG",
        new="headers={}",
        killed_by=f"{_TESTS}/test_mutations.py"
        "::test_it_reads_strongly_and_writes_on_the_version_it_saw",
    ),
    Mutant(  # a batch passes its conditions over in silence
        file="client/memory_spine/batch.py",
        old='"body": draft, **conditions}',
        new='"body": draft}',
        killed_by=f"{_TESTS}/test_conditions.py"
        "::test_each_operation_of_a_batch_has_conditions_of_its_own",
    ),
    Mutant(  # the holder believes in its lease for as long as the server's clock does
        file="client/memory_spine/held_lease.py",
        old="self.ttl_ms / 1000 * (1.0 - MARGIN)",
        new="self.ttl_ms / 1000",
        killed_by=f"{_TESTS}/test_leases.py"
        "::test_a_lease_counts_from_when_it_was_asked_for_less_a_tenth",
    ),
    Mutant(  # the holder counts from the answer, which may have been on its way for long
        file="client/memory_spine/leases.py",
        within="prolong",
        old="    sent_s = core.environment.monotonic_s()\n    grant = yield from "
        'core.fetch(_call(core, key, "renew", body=body), LeaseGrant)\n',
        new='    grant = yield from core.fetch(_call(core, key, "renew", body=body), LeaseGrant)\n'
        "    sent_s = core.environment.monotonic_s()\n",
        killed_by=f"{_TESTS}/test_leases.py::test_a_kept_lease_is_renewed_at_a_third_of_its_time",
    ),
    Mutant(  # a lease that was lost comes back with a late answer
        file="client/memory_spine/held_lease.py",
        old="        if self.ended.done():\n            return 0.0\n",
        new="",
        killed_by=f"{_TESTS}/test_leases.py::test_a_lease_that_passed_on_is_lost_for_good",
    ),
    Mutant(  # the owner of a lease that nobody renews any more is not told
        file="client/memory_spine/leases.py",
        old="        lease.lose(TIME_IS_OVER)",
        new="        pass",
        killed_by=f"{_TESTS}/test_leases.py"
        "::test_a_renewal_that_breaks_down_leaves_nobody_believing",
    ),
    Mutant(  # a renewal hangs beyond the end of the lease, and its owner is told late
        file="client/memory_spine/leases.py",
        old="limit_s = min(core.options.timeout, lease.expires_in)",
        new="limit_s = core.options.timeout",
        killed_by=f"{_TESTS}/test_leases.py"
        "::test_a_renewal_that_fails_is_tried_again_until_the_time_is_over",
    ),
    Mutant(  # a change of a view that has a fence goes without
        file="client/memory_spine/operations.py",
        old="condition = condition.under(core.options.fence)",
        new="condition = condition.under(None)",
        killed_by=f"{_TESTS}/test_conditions.py"
        "::test_a_view_puts_its_fence_on_every_change_that_names_none",
    ),
    Mutant(  # what changes while no connection is open is missed
        file="client/memory_spine/watch.py",
        old='            headers["Last-Event-ID"] = self._cursor\n',
        new='            headers["Last-Event-ID"] = ""\n',
        killed_by=f"{_TESTS}/test_watch.py::test_a_broken_stream_goes_on_at_its_cursor",
    ),
    Mutant(  # a memory that was pruned is taken for one that stands there
        file="client/memory_spine/watch.py",
        old='version = (event.version, event.type == "delete")',
        new="version = (event.version, False)",
        killed_by=f"{_TESTS}/test_watch.py"
        "::test_a_pruned_memory_is_gone_though_its_version_is_that_of_the_write",
    ),
    Mutant(  # an older version is handed out after a newer one
        file="client/memory_spine/watch.py",
        old="if about in self._seen and self._seen[about] >= version:",
        new="if about in self._seen and self._seen[about] == version:",
        killed_by=f"{_TESTS}/test_watch.py::test_what_comes_again_after_a_break_is_handed_out_once",
    ),
    Mutant(  # changes are missed before the first cursor, and nobody is told
        file="client/memory_spine/watch.py",
        old='self._blind = self._cursor is None and self._what.since == "now"',
        new="self._blind = False",
        killed_by=f"{_TESTS}/test_watch.py"
        "::test_a_break_before_any_cursor_is_a_reset_unless_nothing_can_be_missed",
    ),
    Mutant(  # a watch of many ids fills the memory of its process
        file="client/memory_spine/watch.py",
        old="            self._seen.popitem(last=False)\n",
        new="            pass\n",
        killed_by=f"{_TESTS}/test_watch.py"
        "::test_what_is_remembered_is_bounded_and_the_least_recent_is_forgotten",
    ),
    Mutant(  # a newline that the network has parted from its carriage return ends an event twice
        file="client/memory_spine/event_stream.py",
        old='self._after_return = chunk.endswith(b"\\r")',
        new="self._after_return = False",
        killed_by=f"{_TESTS}/test_event_stream.py"
        "::test_a_cut_between_any_two_bytes_changes_nothing",
    ),
    Mutant(  # a command goes on under a lease that another holds
        file="client/spine_cli/leases.py",
        old="        on_lost=child.end,\n",
        new="",
        killed_by="tests/unit/cli/test_leases.py::test_a_command_whose_lease_is_lost_is_ended",
    ),
    Mutant(  # a command that does not obey goes on
        file="client/spine_cli/child.py",
        old="            process.kill()\n",
        new="            process.terminate()\n",
        killed_by="tests/unit/cli/test_leases.py::test_a_command_that_does_not_obey_is_killed",
    ),
    Mutant(  # a script goes on as if its lease had been held to the end
        file="client/spine_cli/leases.py",
        old="raise typer.Exit(code or (Exit.CONFLICT if lost else Exit.OK))",
        new="raise typer.Exit(code or Exit.OK)",
        killed_by="tests/unit/cli/test_leases.py"
        "::test_a_command_that_calls_a_lost_lease_a_success_conflicts",
    ),
    Mutant(  # somebody breaks a grant that they did not see
        file="client/spine_cli/leases.py",
        old="    if fence is not None and fence != lease.fence:\n",
        new="    if fence is not None and fence > lease.fence:\n",
        killed_by="tests/unit/cli/test_leases.py"
        "::test_release_of_another_grant_or_of_nothing_sends_nothing",
    ),
]
