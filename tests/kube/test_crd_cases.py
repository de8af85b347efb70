"""Every admission case on the real API server. Where it and the in-process rules differ, it is right."""

from collections.abc import Iterator

import pytest

from admission.cases import CASES, Case
from admission.local import defaulted
from admission.server import SERVER_WORDS, Admission, refusal_of
from localkube.controlplane import ControlPlane
from localkube.fixtures import fresh_namespace

ACCEPTED = [case for case in CASES if case.refusal is None]
REFUSED = [case for case in CASES if case.refusal is not None]


@pytest.fixture(scope="module")
def admission(control_plane: ControlPlane) -> Iterator[Admission]:
    for namespace in fresh_namespace(control_plane.kubectl, "admission"):
        yield Admission(control_plane.api, namespace)


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.name)
def test_the_server_refuses_a_case_for_its_reason(admission: Admission, case: Case) -> None:
    assert case.refusal
    said = refusal_of(admission, case)
    assert said is not None, "accepted"
    assert SERVER_WORDS.get(case.refusal, case.refusal) in said


@pytest.mark.parametrize("case", ACCEPTED, ids=lambda case: case.name)
def test_the_server_fills_in_our_defaults_and_applying_them_again_changes_nothing(
    admission: Admission, case: Case
) -> None:
    stored = admission.admit(case)
    assert stored["spec"] == defaulted(case.new)["spec"]
    first, second = admission.apply_again(stored)
    assert first["spec"] == stored["spec"]
    assert first["metadata"]["generation"] == stored["metadata"]["generation"]
    assert second["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
