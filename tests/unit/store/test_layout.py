import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spine_core.scalars import Hlc
from spine_node.store.feed import FeedEntry, pack_row, unpack_row
from spine_node.store.layout import (
    KEY_BYTES_MAX,
    key_of,
    pack_slots,
    slot_of_key,
    slot_prefix,
    split_key,
    unpack_slots,
)

slots = st.integers(0, 4095)
names = st.text(string.ascii_letters + string.digits + "._-", min_size=1, max_size=40)


@given(slots, names, names)
def test_a_key_gives_back_what_it_was_made_of(slot: int, namespace: str, memory_id: str) -> None:
    key = key_of(slot, namespace, memory_id)
    assert split_key(key) == (slot, namespace, memory_id)
    assert slot_of_key(key) == slot
    assert key.startswith(slot_prefix(slot))


def test_the_longest_address_fits_into_a_key() -> None:
    longest = key_of(4095, "n" * (255 + len("._leases")), "i" * 200)
    assert len(longest) <= KEY_BYTES_MAX


@given(slots, slots, names, names)
def test_a_slot_is_one_range_and_a_namespace_one_range_in_it(
    one: int, other: int, namespace: str, memory_id: str
) -> None:
    here, there = key_of(one, namespace, memory_id), key_of(other, namespace, memory_id)
    assert (here < there) == (one < other)
    assert key_of(one, namespace, "a") < key_of(one, namespace + "a", "a")


@given(st.frozensets(slots))
def test_a_set_of_slots_survives_packing(owned: frozenset[int]) -> None:
    assert unpack_slots(pack_slots(owned)) == owned


@given(st.lists(st.tuples(st.binary(max_size=60), st.binary(min_size=14, max_size=14)), min_size=1))
def test_a_row_of_the_feed_numbers_its_entries_up_to_its_key(
    entries: list[tuple[bytes, bytes]],
) -> None:
    row = pack_row(Hlc(77), [(key, version) for key, version in entries])  # type: ignore[misc]
    unpacked = unpack_row(1000, row)
    assert [(entry.key, entry.version) for entry in unpacked] == entries
    assert [entry.seq for entry in unpacked] == list(range(1001 - len(entries), 1001))
    assert {entry.append_hlc for entry in unpacked} == {77}


@pytest.mark.parametrize("size", [0, 1, 511])
def test_an_entry_of_any_key_length_is_read_back(size: int) -> None:
    key, version = b"k" * size, bytes(range(14))
    assert unpack_row(5, pack_row(Hlc(1), [(key, version)])) == [  # type: ignore[list-item]
        FeedEntry(5, key, version, 1)  # type: ignore[arg-type]
    ]
