"""Lists of a cluster: every acknowledged write, no deleted record, each record once."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spine_core.errors import ProblemError
from spine_core.records.consistency import Model
from spine_core.records.ids import key_hash
from spine_core.records.sessions import Session
from spine_core.records.versions import Version, hlc_of
from spine_core.scalars import Hlc
from spine_node.ports import ListOrder
from spine_node.search.limits import IndexLimits
from unit.search.cluster import IndexedStores, ids, opened_cluster, placed
from unit.search.harness import NOW_MS, SLOTS

RYW = Model.READ_YOUR_WRITES


@pytest.fixture
async def three(tmp_path: Path) -> AsyncIterator[IndexedStores]:
    async with opened_cluster(tmp_path) as cluster:
        yield cluster


@pytest.fixture
async def five(tmp_path: Path, limits: IndexLimits) -> AsyncIterator[IndexedStores]:
    async with opened_cluster(tmp_path, nodes=5, limits=limits) as cluster:
        yield cluster


def session_of(memory_id: str, version: Version) -> Session:
    return Session().wrote(key_hash("team", memory_id), version)


@pytest.mark.parametrize("model", list(Model))
async def test_a_list_shows_every_record_once_wherever_its_slot_lies(
    five: IndexedStores, model: Model
) -> None:
    names = sorted(f"n-{i}" for i in range(30))
    for name in names:
        await five.write(name, {})
    await five.list()  # brings every index up to date
    assert ids(await five.list(model=model, order="id")) == names


async def test_the_fewest_stores_are_asked(three: IndexedStores) -> None:
    three.here = 2
    await three.list(model=Model.EVENTUAL)
    assert three.asked == [2]
    three.asked.clear()
    await three.list(model=Model.STRONG)
    assert len(three.asked) == 2


async def test_an_own_write_is_listed_on_a_node_that_missed_it(three: IndexedStores) -> None:
    version = await three.write("mine", {}, missing={1})
    assert ids(await three.list(model=RYW, session=session_of("mine", version))) == ["mine"]


async def test_an_own_deletion_is_listed_on_a_node_that_missed_it(three: IndexedStores) -> None:
    await three.write("mine", {})
    version = await three.write("mine", None, missing={1})
    assert ids(await three.list(model=RYW, session=session_of("mine", version))) == []


async def test_an_own_write_that_the_node_holds_needs_no_other_store(three: IndexedStores) -> None:
    version = await three.write("mine", {}, missing={3})
    assert ids(await three.list(model=RYW, session=session_of("mine", version))) == ["mine"]
    assert three.asked == [1]


@pytest.mark.parametrize("model", [Model.EVENTUAL, RYW, Model.STRONG])
async def test_a_damaged_copy_is_no_gap_in_a_list(three: IndexedStores, model: Model) -> None:
    version = await three.write("mine", {})
    await three.list(model=RYW, session=Session())  # the row is there before the damage
    three.harnesses[1].damage("team", "mine")
    assert ids(await three.list(model=model, session=session_of("mine", version))) == ["mine"]
    assert three.verified == []  # another replica answers for the slot


async def test_what_a_store_with_damage_shows_proves_no_own_write(three: IndexedStores) -> None:
    version = await three.write("mine", {}, missing={2})
    await three.list(model=RYW, session=Session())  # the row is there before the damage
    three.harnesses[1].damage("team", "mine")
    assert ids(await three.list(model=RYW, session=session_of("mine", version))) == ["mine"]


async def test_a_copy_beside_a_damaged_one_does_not_stand_for_a_replica_that_answers(
    three: IndexedStores,
) -> None:
    await three.write("p~damaged", {})
    await three.write("p~mine", {})
    gone = await three.write("p~mine", None, missing={1})
    await three.list(model=RYW, session=Session())
    three.harnesses[1].damage("team", "p~damaged")
    found = await three.list(model=RYW, session=session_of("p~mine", gone))
    assert ids(found) == ["p~damaged"]


async def test_a_damaged_record_without_another_copy_is_a_slot_that_did_not_answer(
    tmp_path: Path,
) -> None:
    async with opened_cluster(tmp_path, nodes=1, factor=1) as alone:
        for memory_id in ("p~damaged", "p~beside", "other"):
            await alone.write(memory_id, {})
        await alone.list()
        alone.harnesses[1].damage("team", "p~damaged")
        found = await alone.list(model=Model.EVENTUAL)
        assert sorted(ids(found)) == ["other", "p~beside"]
        assert (found.slots, found.answered) == (SLOTS, SLOTS - 1)
        alone.asked.clear()
        for model in (RYW, Model.CAUSAL, Model.STRONG):
            with pytest.raises(ProblemError) as refused:
                await alone.list(model=model)
            assert refused.value.code == "coverage-incomplete"
            assert "damaged" in refused.value.detail
        assert alone.asked == [1, 1, 1]  # nobody tried again what cannot succeed


async def test_what_an_index_had_to_leave_out_is_a_slot_that_did_not_answer(tmp_path: Path) -> None:
    async with opened_cluster(tmp_path, nodes=1, factor=1) as alone:
        await alone.write("mine", {})
        alone.harnesses[1].damage("team", "mine")
    (tmp_path / "1" / "index.sqlite").unlink()
    async with opened_cluster(tmp_path, nodes=1, factor=1) as alone:
        found = await alone.list(model=Model.EVENTUAL)
        assert (ids(found), found.answered) == ([], SLOTS - 1)
        with pytest.raises(ProblemError, match="damaged"):
            await alone.list(model=RYW)


async def test_a_damaged_record_is_named_in_the_log_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened_cluster(tmp_path, nodes=1, factor=1) as alone:
        await alone.write("mine", {})
        await alone.list()
        alone.harnesses[1].damage("team", "mine")
        with caplog.at_level("ERROR"):
            for _ in range(20):
                await alone.list(model=Model.EVENTUAL)
        told = [vars(r) for r in caplog.records if r.message == "record_damaged"]
        assert [(each["namespace"], each["id"]) for each in told] == [("team", "mine")]


async def test_an_own_write_in_another_namespace_needs_no_other_store(three: IndexedStores) -> None:
    version = await three.write("mine", {}, namespace="elsewhere")
    session = Session().wrote(key_hash("elsewhere", "mine"), version)
    assert ids(await three.list(model=RYW, session=session)) == []
    assert three.asked == [1]


async def test_an_own_write_below_the_stable_time_needs_no_proof(three: IndexedStores) -> None:
    version = await three.write("mine", {})
    three.stable_hlc = hlc_of(version)
    assert ids(await three.list(model=RYW, session=session_of("purged", version))) == ["mine"]
    assert three.asked == [1]


async def test_a_session_that_forgot_some_of_its_writes_is_served_by_a_majority(
    three: IndexedStores,
) -> None:
    version = await three.write("mine", {}, missing={1})
    forgetful = Session(t=hlc_of(version), o=hlc_of(version))
    assert ids(await three.list(model=RYW, session=forgetful)) == ["mine"]


async def test_without_a_session_read_your_writes_asks_a_majority(three: IndexedStores) -> None:
    await three.write("mine", {}, missing={1})
    assert ids(await three.list(model=RYW)) == ["mine"]


async def test_an_own_write_out_of_reach_is_an_error_not_a_gap(three: IndexedStores) -> None:
    version = await three.write("mine", {}, missing={1})
    await three.list(model=RYW, session=Session())  # the index of 1 is there
    three.down = {2, 3}
    with pytest.raises(ProblemError) as refused:
        await three.list(model=RYW, session=session_of("mine", version), wait_s=1.0)
    assert refused.value.code == "session-unsatisfied"


@pytest.mark.parametrize("behind", [1, 2, 3])
async def test_a_record_deleted_on_a_quorum_is_not_brought_back(
    three: IndexedStores, behind: int
) -> None:
    await three.write("dead", {"tags": ["task"]})
    await three.write("alive", {"tags": ["task"]})
    await three.write("dead", None, missing={behind})
    assert ids(await three.list({"tags": "task"})) == ["alive"]


@pytest.mark.parametrize("behind", [1, 2, 3])
async def test_a_record_that_no_longer_matches_on_a_quorum_is_not_shown(
    three: IndexedStores, behind: int
) -> None:
    await three.write("a", {"tags": ["task"]})
    await three.write("a", {"tags": ["done"]}, missing={behind})
    assert ids(await three.list({"tags": "task"})) == []
    assert ids(await three.list({"tags": "done"})) == ["a"]


async def test_replicas_that_agree_cost_no_quorum_read(three: IndexedStores) -> None:
    for name in "abc":
        await three.write(name, {})
    await three.write("b", {"content": "new"}, missing={1})
    assert ids(await three.list()) == ["a", "b", "c"]
    assert three.verified == ["b"]


async def test_a_store_that_does_not_answer_is_replaced(five: IndexedStores) -> None:
    names = sorted(f"n-{i}" for i in range(30))
    for name in names:
        await five.write(name, {})
    for silent in five.harnesses:
        five.silent = {silent}
        assert ids(await five.list(order="id")) == names


async def test_uncovered_slots_are_counted_or_refused(three: IndexedStores) -> None:
    three.now = placed([1, 2, 3], factor=1)
    for i in range(20):
        await three.write(f"n-{i}", {})
    await three.list()
    three.down = {2}
    partial = await three.list(model=Model.EVENTUAL)
    held = sum(2 in three.now.read_set(slot) for slot in three.now.slots)
    assert (partial.slots, partial.answered) == (SLOTS, SLOTS - held)
    assert 0 < len(partial.items) < 20
    for model in (RYW, Model.CAUSAL, Model.STRONG):
        with pytest.raises(ProblemError) as refused:
            await three.list(model=model, session=Session(), wait_s=0.1)
        assert refused.value.code == "coverage-incomplete"
    three.down = {1, 2, 3}
    with pytest.raises(ProblemError):
        await three.list(model=Model.EVENTUAL, wait_s=0.1)


async def test_tags_that_a_filter_demands_strengthen_the_list(three: IndexedStores) -> None:
    three.stable_hlc = Hlc(1 << 62)
    outcome = await three.list({"tags": "critical"}, model=Model.EVENTUAL)
    assert outcome.model is Model.STRONG


async def test_a_filter_that_fixes_the_partition_asks_for_one_slot(five: IndexedStores) -> None:
    for name in ("alice~a", "alice~b", "bob~a"):
        await five.write(name, {})
    five.asked.clear()
    assert ids(await five.list({"id": {"$prefix": "alice~"}})) == ["alice~a", "alice~b"]
    assert ids(await five.list({"id": "bob~a"})) == ["bob~a"]
    assert len(five.asked) == 4


async def test_a_session_has_seen_what_it_was_shown(three: IndexedStores) -> None:
    await three.write("a", {})
    version = await three.write("b", {})
    assert (await three.list()).session.t == hlc_of(version)


async def test_a_page_token_goes_on_at_another_node_in_another_epoch(three: IndexedStores) -> None:
    for name in "abcde":
        await three.write(name, {})
    first = await three.list(page_size=2)
    three.here, three.now = 3, placed([1, 2, 3], epoch=9)
    second = await three.list(page_size=2, token=first.next_page_token)
    third = await three.list(page_size=2, token=second.next_page_token)
    assert [ids(page) for page in (first, second, third)] == [["a", "b"], ["c", "d"], ["e"]]
    assert third.next_page_token is None


@pytest.mark.parametrize("order", ["created_at", "-created_at", "id"])
@pytest.mark.parametrize("model", [Model.EVENTUAL, Model.STRONG])
@pytest.mark.parametrize("limits", [IndexLimits(examined_max=3)])  # pages end early, apart
async def test_pages_of_many_stores_join_without_gap_or_overlap(
    five: IndexedStores, order: ListOrder, model: Model
) -> None:
    names = [f"n-{i:02}" for i in range(30)]
    for i, name in enumerate(names):
        await five.write(name, {}, created_ms=NOW_MS + i)
    await five.list()
    shown: list[str] = []
    page = await five.list(order=order, page_size=4, model=model)
    while page.next_page_token is not None:
        shown += ids(page)
        page = await five.list(order=order, page_size=4, model=model, token=page.next_page_token)
    shown += ids(page)
    assert shown == (names[::-1] if order == "-created_at" else names)


async def test_a_page_token_is_refused_by_any_other_list(three: IndexedStores) -> None:
    for name in "abc":
        await three.write(name, {"tags": ["task"]})
    token = (await three.list({"tags": "task"}, page_size=2)).next_page_token
    assert token is not None
    with pytest.raises(ProblemError) as other_filter:
        await three.list({"tags": "done"}, token=token)
    with pytest.raises(ProblemError) as other_order:
        await three.list({"tags": "task"}, token=token, order="id")
    with pytest.raises(ProblemError) as forged:
        await three.list({"tags": "task"}, token=token[:-1] + ("A" if token[-1] != "A" else "B"))
    for refused in (other_filter, other_order, forged):
        assert refused.value.code == "invalid-request"
        assert refused.value.errors[0][0] == "page_token"


@pytest.mark.parametrize("order", ["created_at", "-created_at", "id"])
@pytest.mark.parametrize("model", [Model.EVENTUAL, Model.STRONG])
async def test_a_record_that_lives_throughout_is_paged_exactly_once_while_others_come_and_go(
    three: IndexedStores, order: ListOrder, model: Model
) -> None:
    lasting = [f"keep-{i:02}" for i in range(20)]
    for i, name in enumerate(lasting):
        await three.write(name, {}, created_ms=NOW_MS - i % 5)
        await three.write(f"drop-{i:02}", {}, created_ms=NOW_MS - i % 5)
    await three.list()
    shown: list[str] = []
    token, turn = None, 0
    while turn == 0 or token is not None:
        page = await three.list(order=order, page_size=3, token=token, model=model)
        shown += ids(page)
        token = page.next_page_token
        await three.write(f"drop-{turn:02}", None, missing={turn % 3 + 1})
        await three.write(f"new-{turn:02}", {}, created_ms=NOW_MS - turn % 5)
        turn += 1
    assert sorted(name for name in shown if name.startswith("keep")) == lasting


_CHANGES = st.tuples(
    st.sampled_from("abcdefg"),
    st.one_of(st.none(), st.fixed_dictionaries({"tags": st.sampled_from([["x"], ["y"], []])})),
    st.integers(0, 2),
    st.integers(0, 3),
)


@settings(max_examples=20, deadline=None)
@given(
    st.lists(_CHANGES, max_size=25),
    st.sampled_from([{}, {"tags": "x"}]),
    st.sampled_from(["created_at", "-created_at", "id"]),
)
def test_a_strong_list_equals_what_was_acknowledged_whoever_missed_what(
    changes: list[tuple[str, dict[str, object] | None, int, int]], where: object, order: ListOrder
) -> None:
    async def run() -> None:
        with tempfile.TemporaryDirectory() as path:
            async with opened_cluster(Path(path)) as cluster:
                expected: dict[str, int] = {}
                for name, memory, age_ms, missing in changes:
                    created_ms = NOW_MS - age_ms
                    await cluster.write(name, memory, missing={missing}, created_ms=created_ms)
                    expected.pop(name, None)
                    if memory is not None and (not where or memory["tags"] == ["x"]):
                        expected[name] = created_ms
                await _pages_equal(cluster, expected, where, order)

    asyncio.run(run())


async def _pages_equal(
    cluster: IndexedStores, expected: dict[str, int], where: object, order: ListOrder
) -> None:
    found: list[str] = []
    token = None
    while True:
        page = await cluster.list(where, order=order, page_size=2, token=token)
        found += ids(page)
        token = page.next_page_token
        if token is None:
            break
        cluster.here = cluster.here % 3 + 1
    by_time = sorted((created, name) for name, created in expected.items())
    if order == "-created_at":
        by_time.reverse()
    assert found == (sorted(expected) if order == "id" else [name for _, name in by_time])
