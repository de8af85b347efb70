"""Lists equal a brute-force model: any history, any filter, any order, page by page."""

import asyncio
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from spine_core.records.filters import matches, parse_filter
from spine_core.records.ids import slot_of
from spine_node.ports import ListOrder
from spine_node.search.messages import Position, comes_before, position_of
from unit.search.harness import ALL_SLOTS, NOW_MS, SLOTS, IndexHarness, asking, opened_harness

DAY_MS = 86_400_000
_NAMES = st.sampled_from(["a", "b", "p~a", "p~b", "q~a", "zz"])
_NAMESPACES = st.sampled_from(["team", "team.x", "team.y.z", "other"])
_WORDS = st.sampled_from(["red", "blue", "green"])
_TIMES = st.sampled_from(["-1d", "-2d", "-3d", "2023-11-13T22:13:20Z"])
_MEMORIES = st.fixed_dictionaries(
    {"importance": st.sampled_from([0, 0.5, 1]), "pinned": st.booleans()},
    optional={
        "tags": st.lists(_WORDS, unique=True),
        "agent_id": _WORDS,
        "user_id": _WORDS,
        "thread_id": _WORDS,
        "metadata": st.fixed_dictionaries({"n": st.integers(0, 3)}),
    },
)
_WRITES = st.tuples(
    _NAMESPACES,
    _NAMES,
    st.one_of(st.none(), _MEMORIES, _MEMORIES, _MEMORIES),
    st.integers(0, 4).map(lambda days: NOW_MS - days * DAY_MS),
    st.sampled_from([0, 0, NOW_MS - 1, NOW_MS + DAY_MS]),
)


def _test(field: str, operands: dict[str, st.SearchStrategy[object]]) -> st.SearchStrategy[object]:
    tests = [st.builds(lambda value, op=op: {op: value}, of) for op, of in operands.items()]
    return st.builds(lambda test: {field: test}, st.one_of(tests))


_LISTS = st.lists(_WORDS, max_size=3)
_STRINGS: dict[str, st.SearchStrategy[object]] = {
    "$eq": _WORDS, "$ne": _WORDS, "$in": _LISTS, "$nin": _LISTS, "$exists": st.booleans(),
}  # fmt: skip
_ORDERS: dict[str, st.SearchStrategy[object]] = dict.fromkeys(
    ("$gt", "$gte", "$lt", "$lte", "$eq"), _TIMES
)
_TESTS = st.one_of(
    *(_test(field, _STRINGS) for field in ("agent_id", "user_id", "thread_id")),
    _test("tags", {"$eq": _WORDS, "$ne": _WORDS, "$any": _LISTS, "$all": _LISTS,
                   "$exists": st.booleans()}),
    _test("id", {"$eq": _NAMES, "$ne": _NAMES, "$in": st.lists(_NAMES), "$nin": st.lists(_NAMES),
                 "$prefix": st.sampled_from(["p", "p~", "z"]), "$exists": st.booleans()}),
    _test("created_at", _ORDERS),
    _test("updated_at", _ORDERS | {"$exists": st.booleans()}),
    _test("expires_at", _ORDERS | {"$exists": st.booleans()}),
    _test("importance", {op: st.sampled_from([0, 0.5]) for op in ("$eq", "$ne", "$gt", "$lte")}),
    _test("pinned", {"$eq": st.booleans(), "$ne": st.booleans()}),
    _test("metadata.n", {"$eq": st.integers(0, 3), "$gt": st.integers(0, 3)}),
)  # fmt: skip
_FILTERS = st.recursive(
    _TESTS,
    lambda inner: st.one_of(
        st.builds(lambda parts: {"$and": parts}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda parts: {"$or": parts}, st.lists(inner, min_size=1, max_size=2)),
        st.builds(lambda part: {"$not": part}, inner),
    ),
    max_leaves=4,
)
_LISTINGS = st.tuples(
    st.one_of(st.just({}), _FILTERS),
    st.sampled_from(["created_at", "-created_at", "id"]),
    st.booleans(),
    st.integers(1, 4),
    st.sampled_from([ALL_SLOTS, ALL_SLOTS // 3]),
)


@settings(max_examples=30, deadline=None)
@given(st.lists(_WRITES, max_size=25), st.lists(_LISTINGS, min_size=3, max_size=6))
def test_lists_equal_a_brute_force_model(
    history: list[tuple[str, str, dict[str, object] | None, int, int]],
    listings: list[tuple[object, ListOrder, bool, int, int]],
) -> None:
    async def run() -> None:
        with tempfile.TemporaryDirectory() as path:
            async with opened_harness(Path(path)) as harness:
                half = len(history) // 2
                model = await _play(harness, history[:half], {})
                await _compare(harness, model, listings[:1])  # the rest then comes as changes
                model = await _play(harness, history[half:], model)
                await _compare(harness, model, listings)

    asyncio.run(run())


_Model = dict[tuple[str, str], dict[str, object] | None]


async def _play(
    harness: IndexHarness,
    history: list[tuple[str, str, dict[str, object] | None, int, int]],
    model: _Model,
) -> _Model:
    for namespace, name, memory, created_ms, expires_ms in history:
        await harness.write(
            name, memory, namespace=namespace, created_ms=created_ms, expires_ms=expires_ms
        )
        times = {
            "id": name, "created_at": created_ms, "updated_at": NOW_MS,
            "expires_at": expires_ms or None,
        }  # fmt: skip
        model[namespace, name] = None if memory is None else memory | times
    return model


async def _compare(
    harness: IndexHarness, model: _Model, listings: list[tuple[object, ListOrder, bool, int, int]]
) -> None:
    for where, order, subtree, limit, slots in listings:
        expected = _expected(model, where, order, subtree=subtree, slots=slots)
        found: list[Position] = []
        after: Position | None = None
        while True:
            call = asking(
                where, order=order, subtree=subtree, limit=limit, slots=slots, after=after
            )
            page = await harness.ask(call)
            assert len(page.candidates) <= limit
            found += [each.position for each in page.candidates]
            if page.end is None:
                break
            assert after is None or comes_before(order, after, page.end)
            after = page.end
        assert found == expected, (where, order)


def _expected(
    model: _Model, where: object, order: ListOrder, *, subtree: bool, slots: int
) -> list[Position]:
    parsed = parse_filter(where)
    positions = []
    for (namespace, name), memory in model.items():
        inside = namespace == "team" or (subtree and namespace.startswith("team."))
        if memory is None or not inside or not slots >> slot_of(namespace, name, SLOTS) & 1:
            continue
        expires_ms, created_ms = memory["expires_at"], memory["created_at"]
        assert isinstance(created_ms, int)
        if isinstance(expires_ms, int) and expires_ms <= NOW_MS:
            continue
        if matches(parsed, memory, NOW_MS):
            positions.append(position_of(order, created_ms, namespace, name))
    return sorted(positions, reverse=order == "-created_at")
