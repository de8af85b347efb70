"""Mutants of the links: who may talk, whose time counts, what a missing answer is called."""

from mutants.mutant import Mutant

LINKS = "tests/unit/links/test_links.py"
MESH = "tests/unit/links/test_mesh.py"
FRAMES = "tests/unit/links/test_frames.py"


def _links(module: str, old: str, new: str, killed_by: str) -> Mutant:
    return Mutant(
        file=f"node_image/spine_node/links/{module}.py", old=old, new=new, killed_by=killed_by
    )


MUTANTS = [
    _links(
        "server",
        "        if not any(hmac.compare_digest(given, token.encode())",
        "        if False and not any(hmac.compare_digest(given, token.encode())",
        f"{LINKS}::test_a_credential_of_another_cluster_is_turned_away_with_401",
    ),
    _links(
        "hello",
        "if me.expects and other.store_id != me.expects:",
        "if False:",
        f"{LINKS}::test_an_address_that_is_used_again_by_another_store_is_not_talked_to",
    ),
    _links(
        "hello",
        "if mine and other.cluster_id and other.cluster_id != mine:",
        "if False:",
        f"{LINKS}::test_an_address_that_is_used_again_by_another_store_is_not_talked_to",
    ),
    _links(
        "server",
        "            self._service.observe(frame.header.hlc)\n",
        "            pass\n",
        f"{LINKS}::test_a_request_from_too_far_ahead_is_refused_and_moves_no_clock",
    ),
    _links(
        "peer",
        "OSError, UnicodeError, msgspec",
        "OSError, msgspec",
        f"{LINKS}::test_an_address_that_nobody_can_have_is_named_and_tried_again",
    ),
    _links(
        "peer",
        "            self._observe(frame.hlc)\n",
        "            pass\n",
        f"{LINKS}::test_an_answer_from_too_far_ahead_is_lost_and_the_link_lives_on",
    ),
    _links(
        "peer",
        "ReplicaStatus.UNREACHABLE if call in unsent else ReplicaStatus.LOST",
        "ReplicaStatus.UNREACHABLE",
        f"{LINKS}::test_a_call_that_was_sent_is_lost_when_the_link_breaks",
    ),
    _links(
        "peer",
        "if reply.status in _ANSWERS else ReplicaStatus.ERROR",
        "if reply.status in _ANSWERS else ReplicaStatus.OK",
        f"{LINKS}::test_a_status_of_a_newer_version_is_neither_ok_nor_no",
    ),
    _links(
        "peer",
        "len(self._pending) >= PENDING_MAX or ",
        "",
        f"{LINKS}::test_a_peer_that_hangs_fills_no_memory_without_end",
    ),
    _links(
        "peer",
        " or self._outbox.bytes >= WAITING_BYTES_MAX",
        "",
        f"{LINKS}::test_a_peer_that_takes_nothing_off_us_gets_no_more_than_so_many_bytes",
    ),
    _links(
        "frames",
        "if size >= MESSAGE_BYTES_FULL or end == len(sizes):",
        "if end == len(sizes):",
        f"{FRAMES}::test_sixty_four_full_pages_leave_as_several_messages",
    ),
    _links(
        "frames",
        "self._frames and self._last_bytes < MESSAGE_BYTES_FULL",
        "self._frames",
        f"{FRAMES}::test_large_bodies_of_one_method_leave_as_several_messages",
    ),
    _links(
        "frames",
        "header.method == method and header.epoch == epoch",
        "header.method == method",
        f"{FRAMES}::test_neighbours_of_one_method_and_epoch_share_a_frame_and_its_longest_time",
    ),
    _links(
        "frames",
        "            frame.header.hlc = hlc\n",
        "            pass\n",
        f"{FRAMES}::test_a_frame_leaves_with_the_time_of_its_departure",
    ),
    _links(
        "mesh",
        "            raise CallError(store, ReplicaStatus.ERROR, reply) from None\n",
        "            raise\n",
        f"{MESH}::test_an_ok_that_is_laid_out_otherwise_is_an_error",
    ),
]
