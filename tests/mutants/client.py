"""Safety rules of the Python client, each removed in turn."""

from mutants.mutant import Mutant

_TESTS = "tests/unit/client"

MUTANTS = [
    Mutant(  # a retry with a fresh key is a second write
        file="client/memory_spine/core.py",
        old="                **trip.headers,\n",
        new="                **self._headers(call, trip.sent),\n",
        killed_by=f"{_TESTS}/test_retries.py::test_what_may_pass_is_tried_again_with_the_same_key",
    ),
    Mutant(  # only the last attempt counts
        file="client/memory_spine/core.py",
        old="doubt = doubt or (trip.call.write and answer.may_have_been_applied)",
        new="doubt = trip.call.write and answer.may_have_been_applied",
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
    Mutant(  # more tokens than the header takes are cut off
        file="client/memory_spine/core.py",
        old="while len(session.tokens) > TOKENS_MAX:",
        new="while len(session.tokens) > 10 * TOKENS_MAX:",
        killed_by=f"{_TESTS}/test_sessions.py"
        "::test_more_tokens_than_a_request_may_carry_are_merged_first",
    ),
    Mutant(  # DELETE .../memories/.. would be DELETE of the namespace
        file="client/memory_spine/core.py",
        old='if text in {"", ".", ".."}:',
        new='if text in {""}:',
        killed_by=f"{_TESTS}/test_faces.py"
        "::test_an_id_that_would_mean_another_resource_is_never_sent",
    ),
    Mutant(  # any 404, of whatever server, would mean "no such memory"
        file="client/memory_spine/core.py",
        old='    return UnexpectedAnswer(url, answer.status, f"not with',
        new='    return error_of({}, answer.status) or UnexpectedAnswer(url, answer.status, f"not with',
        killed_by=f"{_TESTS}/test_retries.py"
        "::test_a_404_that_is_no_problem_document_is_not_a_missing_memory",
    ),
]
