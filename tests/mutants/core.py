"""Mutants of the pure rules: clocks, versions, ids, ring, records, sessions, replicas, gossip."""

from pathlib import PurePosixPath

from mutants.mutant import Mutant

CORE = "node_image/spine_core"
TESTS = "tests/unit/core"


def _core(module: str, old: str, new: str, killed_by: str) -> Mutant:
    test = PurePosixPath(TESTS, module)
    return Mutant(
        file=f"{CORE}/{module}.py",
        old=old,
        new=new,
        killed_by=f"{test.with_name(f'test_{test.name}.py')}::{killed_by}",
    )


MUTANTS = [
    # errors: a failed write whose fate is unknown must not read as "not applied"
    _core(
        "errors",
        '"indeterminate" if kind.outcome == "either" else',
        '"not-applied" if kind.outcome == "either" else',
        "test_a_failed_write_counts_as_indeterminate_unless_someone_knows_better",
    ),
    # scalars: a region takes the byte above a store's number, and no cluster begins in one unasked
    _core(
        "scalars",
        "region << _NUMBER_BITS | number",
        "number",
        "test_an_origin_keeps_region_and_number",
    ),
    _core(
        "scalars",
        "if region != HOME_REGION:",
        "if region > REGION_MAX:",
        "test_a_region_that_is_not_built_is_refused_where_it_was_given",
    ),
    # versions: class before clock, the ETag without class and rev
    _core(
        "records/versions",
        "_LAYOUT.pack(kind, hlc, origin, rev)",
        "_LAYOUT.pack(0, hlc, origin, rev)",
        "test_a_strong_version_beats_every_weak_one",
    ),
    _core(
        "records/versions",
        'f"{digits[2:18]}-{digits[18:26]}"',
        'f"{digits[0:16]}-{digits[18:26]}"',
        "test_the_etag_leaves_out_class_and_rev",
    ),
    # hlc: unique, above what was seen, deaf to timestamps of the far future
    _core(
        "records/hlc",
        "max(self.last + 1, hlc_from_ms(physical_ms))",
        "hlc_from_ms(physical_ms)",
        "test_the_clock_never_issues_a_value_twice_whatever_the_wall_clock_does",
    ),
    _core(
        "records/hlc",
        "        self.last = max(self.last, t)\n",
        "",
        "test_a_stamp_is_above_everything_seen_before",
    ),
    _core(
        "records/hlc",
        "if ahead_ms > MAX_DRIFT_MS:",
        "if ahead_ms > 2 * MAX_DRIFT_MS:",
        "test_a_stamp_too_far_ahead_is_refused_and_does_not_move_the_clock",
    ),
    # ids: one slot per partition; clients cannot write server labels; no two callers meet
    _core(
        "records/ids",
        'memory_id.partition("~")[0]',
        "memory_id",
        "test_records_of_one_partition_share_a_slot",
    ),
    _core(
        "records/ids",
        "label = _LABEL if allow_server else _CLIENT_LABEL",
        "label = _LABEL",
        "test_server_labels_are_admitted_to_the_server_only",
    ),
    _core(
        "records/ids",
        r'sha256(f"{subject}\0{namespace}\0{key}".encode())',
        r'sha256(f"{namespace}\0{key}".encode())',
        "test_no_two_callers_namespaces_or_keys_share_a_name",
    ),
    # ring: seats stand where their names put them; zones are capped
    _core(
        "topology/ring",
        "_point(seat, i), seat",
        "_point(seat, i * len(seats)), seat",
        "test_one_seat_more_or_less_moves_at_most_one_replica_of_a_slot",
    ),
    _core(
        "topology/ring",
        "if seat in taken or not free[zone]:",
        "if seat in taken:",
        "test_no_zone_holds_more_replicas_than_its_cap",
    ),
    _core(
        "topology/ring",
        "if seat in taken or not free[zone]:",
        "if not free[zone]:",
        "test_no_zone_holds_more_replicas_than_its_cap",
    ),
    # records: bit rot is noticed, in the header too, and expiry is absence
    _core(
        "records/encoding",
        "return checksum(buffer[: _PREFIX.size] + buffer[HEADER_BYTES:]) == expected",
        "return True",
        "test_any_flipped_bit_of_a_record_is_noticed",
    ),
    _core(
        "records/encoding",
        " or 0 < record.expires_ms <= now_ms",
        "",
        "test_tombstones_and_expired_records_are_absent_to_readers",
    ),
    # tokens: nobody but us makes one, nor one longer than a purpose allows
    _core(
        "records/tokens",
        "if any(hmac.compare_digest(mac, _mac(payload, key)) for key in keys):",
        "if keys:",
        "test_a_changed_token_does_not_open",
    ),
    _core(
        "records/tokens",
        "if len(text) > chars_max:",
        "if False:",
        "test_a_token_longer_than_the_limit_does_not_open",
    ),
    # sessions: nothing is forgotten without a trace
    _core(
        "records/sessions",
        "o = max(o, hlc_of(others[0][1]))",
        "pass",
        "test_the_newest_of_seventeen_writes_is_a_merge_too",
    ),
    _core(
        "records/sessions",
        "if self.writes and _age(write) <= _age(self.writes[-1]):",
        "if not self.writes:",
        "test_a_write_is_a_merge_with_the_session_of_that_write",
    ),
    _core(
        "records/sessions",
        "        o = max(o, hlc_of(dropped[-1][1]))\n",
        "        pass\n",
        "test_no_own_write_is_forgotten_without_a_trace",
    ),
    _core(
        "records/sessions",
        "return version[1:], version, key",
        "return version, version, key",
        "test_a_weak_write_after_a_purged_register_is_needed",
    ),
    _core(
        "records/sessions",
        "self.writes if hlc_of(write[1]) > stable)",
        "self.writes if hlc_of(write[1]) > stable + 1)",
        "test_trimming_drops_only_what_every_replica_has",
    ),
    # consistency: a request never weakens an override, and tags that may ask for more are looked at
    _core(
        "records/consistency",
        "ORDER[: max(map(ORDER.index, self._floors.values()), default=0)]",
        "ORDER[: min(map(ORDER.index, self._floors.values()), default=0)]",
        "test_tags_are_looked_at_wherever_they_could_ask_for_more",
    ),
    _core(
        "records/consistency",
        "return stronger(header, override) if override else header",
        "return header",
        "test_a_header_never_weakens_what_an_override_asks",
    ),
    # replicas: the table of a weak put, and one epoch
    _core(
        "replication/put_rules",
        "    if kind is PutKind.WRITE and now_hlc > hlc + _MAX_WRITE:\n        return PutVerdict.LATE\n",
        "",
        "test_a_put_is_first_applied_within_five_seconds_of_its_stamp_or_nowhere",
    ),
    _core(
        "replication/put_rules",
        "if has_register or (held is not None and kind_of(held) == STRONG):",
        "if held is not None and kind_of(held) == STRONG:",
        "test_a_promise_alone_refuses_every_weak_put",
    ),
    _core(
        "replication/put_rules",
        "if has_register or (held is not None and kind_of(held) == STRONG):",
        "if has_register:",
        "test_a_strong_record_refuses_every_weak_put",
    ),
    _core(
        "replication/put_rules",
        "return PutVerdict.LATE if hlc <= floor else PutVerdict.APPLY",
        "return PutVerdict.APPLY",
        "test_a_record_at_or_below_the_purge_floor_cannot_come_back",
    ),
    _core(
        "replication/put_rules",
        "return PutVerdict.APPLY if held < version else PutVerdict.SUPERSEDED",
        "return PutVerdict.APPLY",
        "test_replicas_agree_whatever_the_order_of_the_puts",
    ),
    _core(
        "replication/put_rules",
        "if request_epoch == my_epoch:",
        "if request_epoch <= my_epoch:",
        "test_a_replica_serves_requests_of_exactly_its_own_epoch",
    ),
    # stable: all ordered pairs, and the time a write may still be on its way
    _core(
        "replication/stable_time",
        "rows.get(pair, HLC_ZERO) for pair in pairs",
        "rows[pair] for pair in pairs if pair in rows",
        "test_one_pair_that_never_pulled_holds_stable_time_at_zero",
    ),
    _core(
        "replication/stable_time",
        "oldest - _MARGIN",
        "oldest",
        "test_what_is_stable_and_anywhere_is_everywhere",
    ),
    # gossip: newer states win, each node speaks for itself, old disks are refused
    _core(
        "replication/gossip",
        "_age(state) <= _age(known)",
        "state.boot < known.boot",
        "test_states_spread_in_any_order_and_any_number_of_times",
    ),
    _core(
        "replication/gossip",
        "if state.store == self._own or self.is_rolled_back(state.store, state.boot):",
        "if self.is_rolled_back(state.store, state.boot):",
        "test_nobody_else_speaks_for_this_node",
    ),
    _core(
        "replication/gossip",
        "return boot < self._boots.get(store, 0)",
        "return False",
        "test_a_rolled_back_disk_is_refused_and_recognised",
    ),
]
