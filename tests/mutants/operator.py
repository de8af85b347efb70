"""Mutants of the operator: what may be touched, what may go, what counts as an absence."""

from mutants.mutant import Mutant

SOURCE = "operator/spine_operator"
TESTS = "tests/operator"


def _operator(module: str, old: str, new: str, killed_by: str) -> Mutant:
    return Mutant(file=f"{SOURCE}/{module}.py", old=old, new=new, killed_by=f"{TESTS}/{killed_by}")


MUTANTS = [
    # I3: a volume goes only when its store has left, its time has passed, and nobody stands on it
    _operator(
        "plan/volumes",
        "        if claim.store_id not in retired:\n            continue\n",
        "",
        "test_volumes_and_pods.py::test_a_left_over_volume_goes_only_when_its_store_has_left_and_its_time_has_passed",
    ),
    _operator(
        "plan/volumes",
        "if claim.delete_after_s <= now_s:",
        "if True:",
        "test_scenarios.py::test_a_drained_volume_is_kept_for_a_while_and_then_deleted",
    ),
    _operator(
        "plan/volumes",
        "kept = named_seats(document).keys() | wanted.seats.keys()",
        "kept = wanted.seats.keys()",
        "test_volumes_and_pods.py::test_the_volume_of_a_member_is_never_left_over",
    ),
    _operator(
        "plan/volumes",
        "if storage.keep_when_scaled_down or observed.stores.behind:",
        "if observed.stores.behind:",
        "test_volumes_and_pods.py::test_a_left_over_volume_goes_only_when_its_store_has_left_and_its_time_has_passed",
    ),
    _operator(
        "plan/volumes",
        "if not used:",
        "if used is not None:",
        "test_scenarios.py::test_retired_claim_is_never_joined",
    ),
    _operator(
        "plan/volumes",
        "if storage.keep_when_scaled_down or observed.stores.behind:",
        "if storage.keep_when_scaled_down:",
        "test_volumes_and_pods.py::test_no_volume_goes_while_a_node_is_at_an_older_document",
    ),
    _operator(
        "plan/volumes",
        "seat in observed.pods or bool(observed.stores.behind)",
        "seat in observed.pods",
        "test_volumes_and_pods.py::test_no_volume_goes_while_a_node_is_at_an_older_document",
    ),
    # I4: the document's seats keep their pods, whatever the spec says
    _operator(
        "plan/pods",
        "    seats |= named_seats(observed.document)\n",
        "",
        "test_volumes_and_pods.py::test_a_zone_keeps_the_pods_of_all_seats_that_the_document_names",
    ),
    _operator(
        "plan/pods",
        "        **{seat: claim.zone for seat, claim in observed.claims.items()},\n",
        "",
        "test_volumes_and_pods.py::test_a_statefulset_that_was_not_seen_is_made_large_enough_for_all_that_was",
    ),
    _operator(
        "plan/children",
        '    manifest["metadata"]["resourceVersion"] = live.version\n',
        "",
        "test_meanwhile.py::test_a_statefulset_that_moved_meanwhile_is_not_applied",
    ),
    # I5: unknown is not gone, and what moved meanwhile is not acted upon
    _operator(
        "observe/observer",
        "except NotFoundError:",
        "except Exception:",
        "test_meanwhile.py::test_a_read_that_fails_ends_the_pass_before_any_write",
    ),
    _operator(
        "plan/planner",
        "    if marked or joined:\n",
        "    if joined:\n",
        "test_meanwhile.py::test_retained_data_without_its_document_is_never_begun_anew",
    ),
    _operator(
        "plan/planner",
        "    if marked or joined:\n",
        "    if marked:\n",
        "test_meanwhile.py::test_a_member_with_an_unmarked_volume_is_never_begun_anew",
    ),
    _operator(
        "execute",
        '    if version != observed.document_version:\n        raise OutdatedError("the topology document has changed")\n',
        "",
        "test_meanwhile.py::test_no_pod_goes_when_document_or_spec_moved_meanwhile",
    ),
    _operator(
        "execute",
        '(metadata["uid"], metadata["generation"]) != seen',
        'metadata["uid"] != seen[0]',
        "test_meanwhile.py::test_no_pod_goes_when_document_or_spec_moved_meanwhile",
    ),
    _operator(
        "execute",
        'metadata = {**manifest["metadata"], "resourceVersion": version}',
        'metadata = manifest["metadata"]',
        "test_meanwhile.py::test_a_document_that_moved_meanwhile_is_not_overwritten",
    ),
    _operator(
        "execute",
        '    if not ports.lease_held():\n        raise OutdatedError("the Lease is not held")\n',
        "",
        "test_meanwhile.py::test_without_the_lease_nothing_is_published",
    ),
    # what nobody may touch
    _operator(
        "plan/planner",
        "    if not observed.cluster.held:",
        "    if False:",
        "test_scenarios.py::test_no_action_before_the_finalizer_is_there",
    ),
    _operator(
        "plan/planner",
        "    if observed.cluster.spec.paused:",
        "    if False:",
        "test_scenarios.py::test_paused_nothing_is_touched",
    ),
    _operator(
        "manifests/objects",
        '    if metadata.get("labels", {}).get(CLUSTER_LABEL) != cluster.key.name:\n        return False\n',
        "",
        "test_scenarios.py::test_names_that_belong_to_somebody_else_are_never_touched",
    ),
    _operator(
        "manifests/objects",
        "    return owners == ([cluster.uid] if owned else [])",
        "    return True",
        "test_meanwhile.py::test_a_child_of_the_resource_before_is_not_ours",
    ),
    _operator(
        "plan/topology",
        "    if isinstance(action, Publish) and action.step is Step.PREPARE and suspended:",
        "    if False:",
        "test_scenarios.py::test_suspended_nothing_is_begun_and_nothing_is_pulled",
    ),
    _operator(
        "resource/unsupported",
        '    "maintenance.hibernate": (False,),\n',
        "",
        "test_scenarios.py::test_a_field_that_is_not_built_is_refused_by_its_path",
    ),
    # what bears our label is not ours by that, and another resource of our name is another one
    _operator(
        "observe/remnants",
        "for m in claims if _is_of_a_seat(m, key)]",
        "for m in claims]",
        "test_odd_specs.py::test_what_only_bears_our_label_is_left_alone",
    ),
    _operator(
        "reconcile",
        "    if identity.uid != uid:\n        return ReconcileResult(0.0, gone=True)\n",
        "",
        "test_odd_specs.py::test_a_resource_made_anew_is_no_business_of_the_daemon_before",
    ),
    _operator(
        "manifests/objects",
        '        del metadata["labels"][INSTANCE_LABEL]\n',
        "        pass\n",
        "test_odd_specs.py::test_argo_cd_finds_nothing_to_prune",
    ),
    # members of a zone that the spec has left out can still hand over
    _operator(
        "plan/planner",
        "for name in sorted(named - listed - observed.sets.keys()):",
        "for name in sorted(set[str]()):",
        "test_odd_specs.py::test_retained_data_moves_into_the_zones_of_the_resource_made_anew",
    ),
    # a spec that cannot be read, or be carried out, is told; one that does without is obeyed
    _operator(
        "reconcile",
        "    except (ForbiddenError, InvalidInputError) as error:\n",
        "    except ForbiddenError as error:\n",
        "test_odd_specs.py::test_a_spec_that_cannot_be_read_is_named_and_the_cluster_can_be_deleted",
    ),
    _operator(
        "plan/children",
        "        elif live is not None:\n",
        "        elif False:\n",
        "test_odd_specs.py::test_the_policy_goes_when_the_spec_does_without_even_in_the_middle_of_a_change",
    ),
    # I13: at rest nothing is written
    _operator(
        "plan/children",
        "    if not differs(live.live, manifest):\n        return None\n",
        "",
        "test_scenarios.py::test_steady_state_writes_nothing",
    ),
    _operator(
        "reconcile",
        "    if patch:\n",
        "    if True:\n",
        "test_scenarios.py::test_steady_state_writes_nothing",
    ),
    # what needs a person is told: an Unknown does not
    _operator(
        "status/stalled",
        "if isinstance(decision, Blocked) and isinstance(decision.verdict, Block):",
        "if isinstance(decision, Blocked):",
        "test_status.py::test_an_unknown_verdict_needs_no_person",
    ),
    # deletion: nothing of a kept cluster goes, and nothing hangs
    _operator(
        "observe/remnants",
        "    if cluster.keep_when_deleted:\n        return ()\n",
        "",
        "test_scenarios.py::test_retained_data_is_taken_up_by_a_resource_of_the_same_name",
    ),
    _operator(
        "plan/deletion",
        "    if now_ms - cluster.deleted_ms > LIMIT_S * 1000:",
        "    if False:",
        "test_scenarios.py::test_a_deletion_never_hangs",
    ),
    # a control plane that is not ready is waited for, and not for ever
    _operator(
        "startup",
        "            if monotonic_s() >= ends_s:\n",
        "            if True:\n",
        "test_startup.py::test_what_is_not_served_yet_is_waited_for",
    ),
    _operator(
        "startup",
        "            if monotonic_s() >= ends_s:\n                raise\n",
        "",
        "test_startup.py::test_what_is_never_served_ends_the_start",
    ),
    # the Lease runs out on our own clock, and only when it does not change
    _operator(
        "lease",
        "        if self._seen[0] != version:\n",
        '        if self._seen[0] == "":\n',
        "test_process.py::test_only_one_operator_holds_the_lease",
    ),
    # secrets stay secret, and the clients' key stays the clients'
    _operator(
        "observe/observed",
        "secrets: SecretValues = field(default_factory=dict, repr=False)",
        "secrets: SecretValues = field(default_factory=dict)",
        "test_status.py::test_secret_never_printed",
    ),
    _operator(
        "manifests/pod",
        'source["items"] = [{"key": only, "path": only}]',
        "pass",
        "test_manifests.py::test_children_equal_their_golden_files[smallest]",
    ),
]
