"""Rules of the tests' own Kubernetes, taken away one at a time."""

from mutants.mutant import Mutant

_HERE = "tests/support/localkube"
_PLAN = "tests/unit/localkube/test_plan.py"
_IMAGES = "tests/unit/localkube/test_images.py"

MUTANTS = [
    Mutant(  # a test that skips itself looks like one that passed
        file=f"{_HERE}/layers.py",
        old="if report.skipped and not self.verdicts[layer_of(item.path)].obstacle:",
        new="if False:",
        killed_by="tests/unit/localkube/test_layers.py"
        "::test_a_skip_in_a_layer_that_runs_is_a_failure",
    ),
    Mutant(  # somebody else's volume is deleted
        file=f"{_HERE}/volumes.py",
        old="return ours and unwanted and released",
        new="return unwanted and released",
        killed_by=f"{_PLAN}::test_a_volume_goes_only_after_its_claim_and_only_if_it_is_ours",
    ),
    Mutant(  # a volume is deleted under its claim
        file=f"{_HERE}/volumes.py",
        old="return ours and unwanted and released",
        new="return ours and unwanted",
        killed_by=f"{_PLAN}::test_a_volume_goes_only_after_its_claim_and_only_if_it_is_ours",
    ),
    Mutant(  # a claim that has a volume gets a second one
        file=f"{_HERE}/volumes.py",
        old="return notes.get(ASKED_OF) == PROVISIONER and SELECTED_NODE in notes and unbound",
        new="return notes.get(ASKED_OF) == PROVISIONER and SELECTED_NODE in notes",
        killed_by=f"{_PLAN}::test_a_claim_is_served_once_the_scheduler_has_chosen_a_node",
    ),
    Mutant(  # a node's own /var hides the files of its cluster
        file=f"{_HERE}/plan.py",
        old="if any(root.is_relative_to(own) for own in OWN_DIRECTORIES):",
        new="if False:",
        killed_by=f"{_PLAN}::test_an_impossible_plan_is_refused",
    ),
    Mutant(  # the time of a build changes a layer
        file=f"{_HERE}/images/oci.py",
        old="    info.mtime = 0\n",
        new="",
        killed_by=f"{_IMAGES}::test_the_same_tree_gives_the_same_layer",
    ),
]
