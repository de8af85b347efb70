"""The CRD in this process: its own soundness and every admission case."""

from pathlib import Path

import pytest
import yaml

from admission.cases import CASES, Case
from admission.crd import SCHEMA
from admission.lint import complaints
from admission.local import refusals
from admission.rules import rule_count

EXAMPLES = Path(__file__).parents[3] / "examples"
RULES = 25  # a rule that is added or lost must be meant


def test_the_schema_gives_an_api_server_nothing_to_complain_about() -> None:
    assert complaints() == []


def test_every_rule_is_counted() -> None:
    assert rule_count(SCHEMA) == RULES


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_case_is_admitted_or_refused_for_its_reason(case: Case) -> None:
    found = refusals(case)
    if case.refusal is None:
        assert found == []
    else:
        assert any(case.refusal in refusal for refusal in found), found


def test_case_names_are_unique() -> None:
    assert len({case.name for case in CASES}) == len(CASES)


def test_every_example_cluster_is_admitted() -> None:
    for file in EXAMPLES.rglob("*.yaml"):
        for document in yaml.safe_load_all(file.read_text()):
            if document and document.get("kind") == "MemorySpineCluster":
                name = document["metadata"]["name"]
                case = Case(name=str(file), new=document["spec"], object_name=name)
                assert refusals(case) == [], f"{file}: {name}"
