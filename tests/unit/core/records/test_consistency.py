import pytest
from hypothesis import given
from hypothesis import strategies as st

from spine_core.records.consistency import ORDER, SEED, Consistency, Model, Override, stronger

models = st.sampled_from(Model)
tags = st.frozensets(st.sampled_from(["critical", "lock", "metric", "analytics", "note"]))
policies = st.builds(
    Consistency, models, st.lists(st.builds(Override, tags, models), max_size=4).map(tuple)
)


def test_the_models_have_the_names_of_the_seed() -> None:
    assert [str(model) for model in ORDER] == ["eventual", "read-your-writes", "causal", "strong"]


@pytest.mark.parametrize(
    ("header", "request_tags", "model"),
    [
        (None, [], Model.READ_YOUR_WRITES),
        (None, ["note"], Model.READ_YOUR_WRITES),
        (None, ["critical"], Model.STRONG),
        (None, ["note", "lock"], Model.STRONG),
        (None, ["metric"], Model.EVENTUAL),
        (None, ["metric", "critical"], Model.STRONG),
        (Model.EVENTUAL, [], Model.EVENTUAL),
        (Model.EVENTUAL, ["critical"], Model.STRONG),
        (Model.STRONG, ["metric"], Model.STRONG),
        (Model.CAUSAL, ["note"], Model.CAUSAL),
    ],
)
def test_the_seed_policy_resolves_as_published(
    header: Model | None, request_tags: list[str], model: Model
) -> None:
    assert SEED.resolve(header, request_tags) is model


@given(policies, models, tags)
def test_tags_are_looked_at_wherever_they_could_ask_for_more(
    policy: Consistency, model: Model, tagged: frozenset[str]
) -> None:
    asked = policy.for_tags(tagged)
    if asked is not None and ORDER.index(asked) > ORDER.index(model):
        assert policy.may_ask_more(model)


def test_where_no_tag_asks_for_more_tags_need_no_look() -> None:
    assert [SEED.may_ask_more(model) for model in ORDER] == [True, True, True, False]
    assert not any(Consistency(overrides=()).may_ask_more(model) for model in ORDER)


@given(policies, models, tags)
def test_a_header_never_weakens_what_an_override_asks(
    policy: Consistency, header: Model, request_tags: frozenset[str]
) -> None:
    resolved = policy.resolve(header, request_tags)
    override = policy.for_tags(request_tags)
    assert resolved is (header if override is None else stronger(header, override))
    assert stronger(resolved, header) is resolved


@given(policies, tags, tags)
def test_more_tags_never_weaken_an_override(
    policy: Consistency, some: frozenset[str], more: frozenset[str]
) -> None:
    few, many = policy.for_tags(some), policy.for_tags(some | more)
    assert few is None or (many is not None and stronger(few, many) is many)


def test_records_without_a_matching_tag_get_the_default() -> None:
    assert Consistency(Model.CAUSAL, ()).resolve(None, ["critical"]) is Model.CAUSAL
