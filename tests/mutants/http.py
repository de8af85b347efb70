"""Mutants of the HTTP API: access, origin, input, outcomes, and what may never be ignored."""

from mutants.mutant import Mutant

HTTP = "node_image/spine_node/http"
TESTS = "tests/unit/http"


def _http(module: str, old: str, new: str, killed_by: str) -> Mutant:
    return Mutant(file=f"{HTTP}/{module}.py", old=old, new=new, killed_by=f"{TESTS}/{killed_by}")


MUTANTS = [
    # access: the namespace is hidden first, then the scope is asked for, by whole labels
    _http(
        "identity",
        "if namespace is not None and not principal.covers(namespace):",
        "if False:",
        "test_access.py::test_every_endpoint_hides_the_namespaces_of_others",
    ),
    _http(
        "identity",
        'namespace.startswith(granted + ".")',
        "namespace.startswith(granted)",
        "test_access.py::test_every_endpoint_hides_the_namespaces_of_others",
    ),
    _http(
        "identity",
        "if scope is not None and scope not in principal.scopes:",
        "if False:",
        "test_access.py::test_every_endpoint_needs_its_scope",
    ),
    _http(
        "batch",
        "        authorise(context.principal, scope, context.namespace)\n",
        "",
        "test_batch.py::test_the_scope_is_asked_for_each_operation",
    ),
    _http(
        "auth",
        "if key is None or not hmac.compare_digest(key.sha256, shown):",
        "if key is None:",
        "test_access.py::test_a_key_is_good_only_whole",
    ),
    _http(
        "auth",
        "if not_after_ms is not None and now_ms >= not_after_ms:",
        "if False:",
        "test_access.py::test_a_key_ends_at_its_time",
    ),
    _http(
        "auth",
        "if not any(hmac.compare_digest(shown, token.encode()) for token in tokens):",
        "if not shown:",
        "test_access.py::test_the_admin_plane_has_a_credential_of_its_own",
    ),
    # origin: a web page must not reach a node without keys, nor the world
    _http(
        "app",
        "if app.local_only:",
        "if False:",
        "test_origin_guard.py::test_a_page_of_another_site_is_refused",
    ),
    _http(
        "origin_guard",
        "if origin is not None and not _is_local(origin):",
        "if False:",
        "test_origin_guard.py::test_a_page_of_another_site_is_refused",
    ),
    _http(
        "origin_guard",
        "if not open_to_all:",
        "if False:",
        "test_origin_guard.py::test_without_keys_any_other_address_ends_the_start",
    ),
    _http(
        "headers",
        "if media_type.strip().lower() != wanted:",
        "if False:",
        "test_bad_input.py::test_a_wrong_header_is_refused",
    ),
    # load: clients are shed, probes and the operator are not
    _http(
        "app",
        'if app.in_flight.count >= IN_FLIGHT_MAX and route.access == "key":',
        "if app.in_flight.count >= IN_FLIGHT_MAX:",
        "test_health.py::test_a_node_with_too_many_requests_sheds_clients_and_keeps_its_probes",
    ),
    # a broken file of keys must not lock everybody out, or let anybody in
    _http(
        "auth",
        "            self._on_refusal()\n",
        "            self._on_refusal()\n            self._keys = {}\n",
        "test_access.py::test_a_changed_file_is_read_again_and_a_broken_one_is_not",
    ),
    # conditions: a write must never pass as if its condition had been checked
    _http(
        "data",
        "return msgspec.structs.replace(options_of(context), conditions=conditions)",
        "return options_of(context)",
        "test_conditions.py::test_a_condition_reaches_the_engine_or_is_refused",
    ),
    _http(
        "batch",
        "    return msgspec.structs.replace(options, conditions=conditions)\n",
        "    return options\n",
        "test_batch.py::test_a_condition_in_a_batch_reaches_the_engine",
    ),
    _http(
        "data",
        "    headers.check_unconditional(context.request.headers)\n",
        "",
        "test_data.py::test_a_create_knows_no_condition_and_says_so",
    ),
    _http(
        "batch",
        "    headers.check_unconditional(context.request.headers)\n"
        "    body = await data.json_body(context, BATCH_BYTES_MAX)\n",
        "    body = await data.json_body(context, BATCH_BYTES_MAX)\n",
        "test_batch.py::test_a_condition_over_a_whole_batch_is_refused",
    ),
    _http(
        "batch",
        "if operation.id in seen:",
        "if False:",
        "test_batch.py::test_a_batch_that_is_wrong_as_a_whole_does_nothing",
    ),
    # outcomes: doubt is never told as certainty
    _http(
        "problems",
        'problem.outcome or "indeterminate"',
        'problem.outcome or "not-applied"',
        "test_problems.py::test_a_failed_write_always_says_what_became_of_it",
    ),
    _http(
        "app",
        'ProblemError("internal", "the node failed; its log knows the request id")',
        'ProblemError("not-ready", "the node failed; its log knows the request id")',
        "test_data.py::test_a_bug_is_answered_as_one_and_other_requests_go_on",
    ),
    # a partial view that is written back loses nothing, and brings nothing back
    _http(
        "data",
        "if isinstance(memory, MemoryPut) and memory.omitted and memory.embedding is None:",
        "if False:",
        "test_data.py::test_one_field_of_any_view_can_be_replaced_without_losing_another",
    ),
    _http(
        "data",
        "    if absence is not None:\n        raise absence\n",
        "    if absence is not None:\n        return None\n",
        "test_data.py::test_a_partial_view_of_a_deleted_memory_does_not_bring_it_back",
    ),
    _http(
        "data",
        "RequestOptions(options.session, Model.STRONG)",
        "RequestOptions(options.session, None)",
        "test_data.py::test_what_a_view_left_out_is_read_from_a_quorum",
    ),
    _http(
        "render",
        '_OMITTED = b\',"omitted":["embedding"]}\'',
        "_OMITTED = b'}'",
        "test_data.py::test_one_field_of_any_view_can_be_replaced_without_losing_another",
    ),
    # input: what the codec lets through
    _http(
        "bodies",
        "kind is int and not limits.INTEGER_MIN <= item <= limits.INTEGER_MAX",
        "False",
        "test_bad_input.py::test_a_broken_rule_is_422_and_named",
    ),
    _http(
        "bodies",
        "except RecursionError as error:",
        "except ZeroDivisionError as error:",
        "test_bad_input.py::test_deep_nesting_is_422_and_no_crash",
    ),
    _http(
        "bodies",
        "return _TAG.fullmatch(text) is not None",
        "return _TAG.match(text) is not None",
        "test_bad_input.py::test_a_broken_rule_is_422_and_named",
    ),
    _http(
        "bodies",
        "if memory.id is not None and memory.id != memory_id:",
        "if False:",
        "test_bad_input.py::test_a_put_must_agree_with_its_path",
    ),
    _http(
        "lists",
        "check_json(value, JSON_DEPTH_MAX)",
        "value",
        "test_lists.py::test_a_wrong_query_is_refused",
    ),
    _http(
        "request_body",
        "        _check_size(body, bytes_max)\n    return bytes(body)",
        "    _check_size(body, bytes_max)\n    return bytes(body)",
        "test_server.py::test_chunks_are_counted_while_they_come",
    ),
    # connections without a request must not hold sockets, and clients must not lose theirs
    _http(
        "connection",
        "self._loop.call_later(self._server.timeouts.head_s, self.force_close)",
        "self._loop.call_later(3600, self.force_close)",
        "test_server.py::test_a_connection_that_asks_for_nothing_is_closed",
    ),
    _http(
        "request_loop",
        "            self.asked()\n",
        "",
        "test_server.py::test_a_connection_that_has_asked_stays_open",
    ),
    # a limit of connections closes the idle ones, oldest first, and never one that works
    _http(
        "connection",
        "        self._server.enforce_limit(self.force_close)\n",
        "",
        "test_connections.py::test_the_connection_idle_longest_is_closed_for_a_new_one",
    ),
    _http(
        "connection",
        "yield connection.idle_since, connection",
        "yield -connection.idle_since, connection",
        "test_connections.py::test_the_connection_idle_longest_is_closed_for_a_new_one",
    ),
    _http(
        "connection",
        "            if connection.is_idle:",
        "            if True:",
        "test_connections.py::test_a_connection_that_works_is_never_closed_for_another",
    ),
    # streams: never made faster than read, closed with their client, never whole when they failed
    _http(
        "connection",
        "            self.streaming.cancel()\n",
        "            pass\n",
        "test_streams.py::test_a_client_that_leaves_ends_a_stream_that_has_nothing_to_say",
    ),
    _http(
        "connection",
        "        if unsent == unsent_before:\n",
        "        if unsent_before is not None:\n",
        "test_streams.py::test_a_slow_reader_that_goes_on_reading_is_not_given_up",
    ),
    _http(
        "connection",
        "        self._check_reader(None)\n",
        "",
        "test_streams.py::test_nothing_is_made_that_the_client_does_not_take",
    ),
    _http(
        "server",
        "        except Exception:\n            connection.abort()\n            raise\n",
        "        except ZeroDivisionError:\n            pass\n",
        "test_streams.py::test_a_stream_that_fails_does_not_look_complete",
    ),
    # a port for https: who speaks http is told so, and gets nothing else
    _http(
        "server",
        "    if raw.protocol.plain:\n",
        "    if False:\n",
        "test_tls_listener.py::test_plain_http_is_told_that_the_port_speaks_https",
    ),
    _http(
        "tls_listener",
        "        self._connections.enforce_limit(next(iter(self._undecided)).cancel)\n",
        "",
        "test_tls_listener.py::test_connections_that_say_nothing_are_limited_too",
    ),
    # answers
    _http(
        "render",
        "kept.find(_EMBEDDING, kept.rfind(_LAST_BUT_EMBEDDING))",
        "kept.find(_EMBEDDING)",
        "test_data.py::test_the_embedding_is_found_whatever_the_metadata_looks_like",
    ),
    _http(
        "data",
        "if is_absent(outcome.record, context.app.clock.physical_ms()):",
        "if False:",
        "test_data.py::test_an_expired_record_is_gone",
    ),
    # the admin plane: a pod on another disk must not obey
    _http(
        "admin",
        "if store_id != context.app.operations.store_id():",
        "if False:",
        "test_admin.py::test_a_call_for_another_store_is_misdirected",
    ),
    # the audit knows every write
    _http(
        "data",
        "    audit.note(attempt_of(context, outcome.memory_id), status_of(outcome))\n",
        "",
        "test_audit.py::test_a_write_leaves_one_complete_line",
    ),
    _http(
        "app",
        "if progress.writes or progress.refused(problem):",
        "if progress.refused(problem):",
        "test_audit.py::test_a_failed_write_is_noted_with_its_outcome",
    ),
    Mutant(
        file="node_image/spine_node/logs.py",
        old="        self.flush()\n        super().emit(record)\n",
        new="        super().emit(record)\n",
        killed_by="tests/unit/starting/test_logs.py::test_a_record_comes_after_what_was_queued_before_it",
    ),
    # one connection: nobody is served who does not read, nobody's bytes are taken for others
    _http(
        "request_loop",
        "        if self._paused:\n",
        "        if False:\n",
        "test_request_loop.py::test_a_client_that_takes_no_answers_is_asked_for_no_more_and_given_up",
    ),
    _http(
        "request_loop",
        'bodiless = response.status in _BODILESS or message.method == "HEAD"',
        "bodiless = response.status in _BODILESS",
        "test_request_loop.py::test_requests_that_came_together_are_answered_in_order",
    ),
    _http(
        "connection",
        "return not self.plain and not self._upgraded and not",
        "return not self.plain and not",
        "test_request_loop.py::test_an_upgrade_that_nobody_takes_is_an_ordinary_request",
    ),
    # what a node says of itself: this machine is no name that begins like it, ready is not "soon"
    Mutant(
        file="node_image/spine_node/addresses.py",
        old='if host.lower() == "localhost":',
        new='if host.lower().startswith("localhost"):',
        killed_by="tests/unit/starting/test_addresses.py::test_only_this_machine_is_loopback",
    ),
    Mutant(
        file="node_image/spine_node/readiness.py",
        old="while (reason := self._reason()) is not None:",
        new="while reason := None:",
        killed_by="tests/unit/starting/test_readiness.py"
        "::test_a_node_says_why_it_is_not_ready_once_for_each_reason",
    ),
    # links: no page of a browser, every call its credential, bounds before memory
    _http(
        "client_link",
        'if "Origin" in given:',
        "if False:",
        "test_client_link.py::test_no_page_of_a_browser_gets_a_link",
    ),
    _http(
        "client_link",
        "headers.update(call.headers)",
        'headers.update({k: v for k, v in call.headers.items() if k != "Authorization"})',
        "test_client_link.py::test_the_key_is_asked_for_with_every_call",
    ),
    _http(
        "client_link",
        "return self._calls >= CALLS_MAX or self._held >= HELD_BYTES_MAX",
        "return self._calls >= CALLS_MAX",
        "test_client_link_bounds.py::test_a_link_reads_no_more_than_it_may_hold",
    ),
    _http(
        "client_link",
        "return self._calls >= CALLS_MAX or self._held >= HELD_BYTES_MAX",
        "return self._held >= HELD_BYTES_MAX",
        "test_client_link_bounds.py::test_a_link_has_so_many_calls_under_way_and_no_more",
    ),
    _http(
        "client_link",
        "max_msg_size=MESSAGE_BYTES_MAX",
        "max_msg_size=0",
        "test_client_link_bounds.py::test_a_message_too_large_ends_the_link_before_it_is_read",
    ),
    _http(
        "link_frames",
        "Annotated[list[Call], msgspec.Meta(max_length=CALLS_MAX)]",
        "list[Call]",
        "test_client_link_bounds.py::test_garbage_ends_its_link_and_no_other",
    ),
    _http(
        "client_link",
        "if longest > HEADER_BYTES_MAX or len(call.target) > HEADER_BYTES_MAX:",
        "if False:",
        "test_client_link.py::test_what_http_would_not_parse_is_refused",
    ),
]
