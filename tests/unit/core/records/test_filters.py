"""The filter grammar: what matches, what is refused and where, and its one spelling."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spine_core.errors import ProblemError
from spine_core.records.filters import (
    DEPTH_MAX,
    EMPTY,
    canonical,
    demanded_tags,
    matches,
    parse_filter,
)

DAY_MS = 86_400_000
NOW_MS = 20_000 * DAY_MS

MEMORY = {
    "id": "alice~note-1",
    "agent_id": "scout",
    "user_id": None,
    "tags": ["task", "urgent"],
    "derived_from": [],
    "importance": 0.5,
    "pinned": False,
    "writer": "bot",
    "created_at": NOW_MS - 8 * DAY_MS,
    "updated_at": NOW_MS - 1000,
    "expires_at": None,
    "metadata": {
        "n": 3,
        "yes": True,
        "none": None,
        "deep": {"a": [1, {"b": 2}], "text": "abc"},
    },
}

MATCHING = [
    {},
    {"agent_id": "scout"},
    {"agent_id": {"$in": ["x", "scout"]}},
    {"agent_id": {"$nin": ["x"]}},
    {"agent_id": "scout", "tags": "task"},
    {"user_id": {"$ne": "alice"}},
    {"user_id": {"$nin": ["alice"]}},
    {"user_id": {"$exists": False}},
    {"tags": {"$all": ["task", "urgent"]}},
    {"tags": {"$any": ["no", "urgent"]}},
    {"tags": {"$ne": "done"}},
    {"derived_from": {"$exists": False}},
    {"derived_from": {"$ne": "x"}},
    {"importance": {"$gte": 0.5, "$lt": 1}},
    {"pinned": False},
    {"created_at": {"$lt": "-7d"}},
    {"created_at": {"$gte": "-9d", "$lte": "-192h"}},
    {"created_at": {"$eq": "2024-09-26T00:00:00Z"}},
    {"created_at": "2024-09-26T02:00:00.000+02:00"},
    {"updated_at": {"$gt": "-1m"}},
    {"expires_at": {"$exists": False}},
    {"id": {"$prefix": "alice~"}},
    {"metadata.n": {"$gt": 2.5}},
    {"metadata.n": {"$in": ["3", 3.0]}},
    {"metadata.n": {"$ne": "3"}},
    {"metadata.yes": True},
    {"metadata.none": None},
    {"metadata.none": {"$exists": True}},
    {"metadata.deep.a": {"$eq": [1, {"b": 2.0}]}},
    {"metadata.deep": {"$eq": {"text": "abc", "a": [1, {"b": 2}]}}},
    {"metadata.deep.text": {"$prefix": "ab", "$lt": "abd"}},
    {"metadata.deep.no.way": {"$exists": False}},
    {"$or": [{"agent_id": "x"}, {"tags": "task"}]},
    {"$not": {"tags": "done"}},
    {"$and": [{"tags": "task"}, {"tags": "urgent"}]},
]

OTHER = [
    {"agent_id": "x"},
    {"user_id": "alice"},
    {"user_id": {"$exists": True}},
    {"tags": {"$all": ["task", "done"]}},
    {"tags": {"$any": []}},
    {"derived_from": "x"},
    {"importance": {"$gt": 0.5}},
    {"expires_at": {"$lt": "2999-01-01T00:00:00Z"}},
    {"metadata.n": "3"},
    {"metadata.n": {"$gt": "2"}},
    {"metadata.yes": 1},
    {"metadata.n": {"$lt": 3}},
    {"metadata.none": {"$lt": 3}},
    {"metadata.deep.a": {"$eq": [1, {"b": True}]}},
    {"metadata.deep.a": {"$prefix": "["}},
    {"metadata.missing": None},
    {"metadata.n.x": {"$gt": 0}},
    {"$or": [{"agent_id": "x"}, {"tags": "done"}]},
    {"$not": {"tags": "task"}},
]


@pytest.mark.parametrize("where", MATCHING, ids=json.dumps)
def test_a_filter_finds_the_memory_it_describes(where: object) -> None:
    assert matches(parse_filter(where), MEMORY, NOW_MS)


@pytest.mark.parametrize("where", OTHER, ids=json.dumps)
def test_a_filter_leaves_out_what_it_does_not_describe(where: object) -> None:
    assert not matches(parse_filter(where), MEMORY, NOW_MS)


REFUSED = [
    ([], ""),
    ({"colour": 1}, "colour"),
    ({"metadata": {"$exists": True}}, "metadata"),
    ({"metadata.": 1}, "metadata."),
    ({"metadata.a..b": 1}, "metadata.a..b"),
    ({"$nor": []}, "$nor"),
    ({"$and": []}, "$and"),
    ({"$or": {}}, "$or"),
    ({"$and": [{"tags": "a"}, {"tag": "b"}]}, "$and[1].tag"),
    ({"$not": [{}]}, "$not"),
    ({"tags": {}}, "tags"),
    ({"tags": ["a"]}, "tags"),
    ({"tags": {"$in": ["a"]}}, "tags.$in"),
    ({"tags": {"$any": ["a", 1]}}, "tags.$any[1]"),
    ({"tags": {"$any": "a"}}, "tags.$any"),
    ({"agent_id": None}, "agent_id.$eq"),
    ({"agent_id": {"$prefix": "a"}}, "agent_id.$prefix"),
    ({"agent_id": {"$exists": 1}}, "agent_id.$exists"),
    ({"importance": "high"}, "importance.$eq"),
    ({"importance": True}, "importance.$eq"),
    ({"importance": {"$lt": float("inf")}}, "importance.$lt"),
    ({"pinned": 1}, "pinned.$eq"),
    ({"created_at": {"$ne": "-7d"}}, "created_at.$ne"),
    ({"created_at": 5}, "created_at.$eq"),
    ({"created_at": {"$gt": "yesterday"}}, "created_at.$gt"),
    ({"created_at": {"$gt": "7d"}}, "created_at.$gt"),
    ({"created_at": {"$gt": "-11575d"}}, "created_at.$gt"),
    ({"created_at": {"$gt": "2024-02-30T00:00:00Z"}}, "created_at.$gt"),
    ({"created_at": {"$gt": "0001-01-01T00:00:00+10:00"}}, "created_at.$gt"),
    ({"metadata.a": {"$gt": True}}, "metadata.a.$gt"),
    ({"metadata.a": {"b": 1}}, "metadata.a.b"),
    ({"metadata.a": {"$in": list(range(201))}}, "metadata.a.$in"),
    ({"$and": [{"tags": "a"}] * 65}, "$and[64].tags.$eq"),
]


@pytest.mark.parametrize(("where", "path"), REFUSED, ids=lambda case: str(case)[:40])
def test_a_mistake_is_refused_at_its_path(where: object, path: str) -> None:
    with pytest.raises(ProblemError) as refused:
        parse_filter(where)
    assert refused.value.code == "invalid-filter"
    assert [error[0] for error in refused.value.errors] == [path]


def test_filters_nest_eight_deep_and_no_deeper() -> None:
    where: object = {"tags": "a"}
    for _ in range(DEPTH_MAX - 1):
        where = {"$not": where}
    parse_filter(where)
    with pytest.raises(ProblemError, match="nested deeper"):
        parse_filter({"$not": where})


def test_a_filter_demands_a_tag_only_if_every_match_has_it() -> None:
    def tags_of(where: object) -> set[str]:
        return set(demanded_tags(parse_filter(where)))

    assert tags_of({"tags": "a", "agent_id": "x"}) == {"a"}
    assert tags_of({"$and": [{"tags": {"$all": ["a", "b"]}}, {"tags": "c"}]}) == {"a", "b", "c"}
    assert tags_of({"$or": [{"tags": {"$all": ["a", "b"]}}, {"tags": "b"}]}) == {"b"}
    assert tags_of({"tags": {"$any": ["a"], "$ne": "b"}, "$not": {"tags": "c"}}) == set()
    assert tags_of({}) == set()


def test_the_canonical_form_forgets_order_and_sugar() -> None:
    assert canonical(parse_filter({"tags": "a", "user_id": "u"})) == canonical(
        parse_filter({"$and": [{"user_id": {"$eq": "u"}}, {"tags": "a"}]})
    )
    assert canonical(parse_filter({"tags": "a"})) != canonical(parse_filter({"tags": "b"}))
    assert canonical(EMPTY) == canonical(parse_filter({})) == b"{}"


_WORDS = st.sampled_from(["task", "urgent", "scout", "x", "alice~note-1"])
_TESTS = st.one_of(
    st.fixed_dictionaries({"tags": st.one_of(_WORDS, st.builds(lambda w: {"$any": [w]}, _WORDS))}),
    st.fixed_dictionaries({"agent_id": _WORDS, "user_id": st.builds(lambda w: {"$ne": w}, _WORDS)}),
    st.fixed_dictionaries({"created_at": st.sampled_from([{"$lt": "-7d"}, {"$gt": "-7d"}])}),
    st.fixed_dictionaries(
        {"metadata.n": st.sampled_from([3, "3", {"$gt": 2}, {"$exists": False}])}
    ),
)
FILTERS = st.recursive(
    _TESTS,
    lambda inner: st.one_of(
        st.builds(lambda parts: {"$and": parts}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda parts: {"$or": parts}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda part: {"$not": part}, inner),
        st.builds(lambda left, right: left | {"$not": right}, inner, inner),
    ),
    max_leaves=8,
)


@given(FILTERS)
def test_the_canonical_form_parses_to_a_filter_of_the_same_meaning(where: object) -> None:
    try:
        parsed = parse_filter(where)
    except ProblemError:
        return  # nested too deep
    spelled = canonical(parsed)
    again = parse_filter(json.loads(spelled), depth_max=2 * DEPTH_MAX)
    assert canonical(again) == spelled
    assert matches(again, MEMORY, NOW_MS) == matches(parsed, MEMORY, NOW_MS)
