from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spine_core.errors import InvalidInputError
from spine_core.records.ids import (
    KEY_TIME_OFF_MS_MAX,
    check_id,
    check_namespace,
    key_hash,
    keyed_name,
    operation_id,
    partition_prefix,
    slot_of,
    ulid,
)

DAY_MS = KEY_TIME_OFF_MS_MAX
ULID_MS = 1469918176385  # the example of the ULID specification
ULID_KEY = "01ARYZ6S41TSV4RRFFQ69G5FAV"

names = st.text("abcXYZ019._:@-", min_size=1, max_size=20)


@pytest.mark.parametrize("text", ["a", "acme.support.billing", "A-1_b", "9.9", "a" + ".a" * 7])
def test_a_namespace_is_labels_joined_with_dots(text: str) -> None:
    assert check_namespace(text) == text


@pytest.mark.parametrize(
    "text",
    [
        *("", ".", "a.", ".a", "a..b", "-a", "a b", "a\n", "a\0b", "ä", "a/b", "a~b"),
        *("_jobs", "a._leases", "a" * 65, ".".join(["a"] * 9), ".".join(["a" * 64] * 4)),
    ],
)
def test_what_is_no_namespace_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError) as refusal:
        check_namespace(text)
    assert refusal.value.path == "namespace"


@pytest.mark.parametrize("text", ["_spine", "a.b.c.d.e.f.g.h._leases", "acme._leases"])
def test_server_labels_are_admitted_to_the_server_only(text: str) -> None:
    assert check_namespace(text, allow_server=True) == text
    with pytest.raises(InvalidInputError):
        check_namespace(text)


def test_the_longest_key_of_the_store_stays_within_466_bytes() -> None:
    longest = ".".join(["a" * 64] * 3 + ["a" * 60])
    assert len(check_namespace(longest)) == 255
    server = check_namespace(f"{longest}._leases", allow_server=True)
    assert 2 + len(server) + 1 + len(check_id("i" * 200)) == 466


@pytest.mark.parametrize("text", ["a", "alice~note-1", "A.b_c:d@e-f", "x" * 200, "~".join("ab")])
def test_an_id_is_a_name_with_at_most_one_partition(text: str) -> None:
    assert check_id(text) == text


@pytest.mark.parametrize(
    "text", ["", "~", "a~", "~a", "a~b~c", "a b", "a/b", "a\n", "ä", "a\0", "x" * 201]
)
def test_what_is_no_id_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError) as refusal:
        check_id(text)
    assert refusal.value.path == "id"


@pytest.mark.parametrize(
    ("namespace", "memory_id", "slot"),
    [
        ("acme.support", "note-1", 692),
        ("acme.support", "alice~note-1", 234),
        ("acme.support", "alice~note-2", 234),
        ("acme.support._leases", "deploy.prod", 3518),
        ("_spine", "policy~0123", 552),
    ],
)
def test_these_records_live_in_these_slots_for_ever(
    namespace: str, memory_id: str, slot: int
) -> None:
    assert slot_of(namespace, memory_id) == slot


@given(names, names)
def test_the_slot_is_the_first_12_bits_of_the_hash(namespace: str, memory_id: str) -> None:
    digest = sha256(f"{namespace}\0{memory_id}".encode()).hexdigest()
    assert slot_of(namespace, memory_id) == int(digest[:3], 16)
    assert slot_of(namespace, memory_id, slots=64) == int(digest[:3], 16) >> 6


@given(names, names, names)
def test_records_of_one_partition_share_a_slot(partition: str, a: str, b: str) -> None:
    assert slot_of("ns", f"{partition}~{a}") == slot_of("ns", f"{partition}~{b}")


def test_hashes_of_records_and_operations_are_pinned() -> None:
    assert key_hash("acme.support", "alice~note-1") == 12362558319521826849
    assert operation_id("key:ops", "k-1") == 6698264073286117201


@pytest.mark.parametrize(
    ("value", "prefix"),
    [
        (None, ""),
        ("alice", "alice~"),
        ("a@b.c:d", "a@b.c:d~"),
        ("x" * 64, "x" * 64 + "~"),
        ("two words", "h-a03f1d611645eb53~"),
        ("a~b", "h-" + sha256(b"a~b").hexdigest()[:16] + "~"),
        ("x" * 65, "h-" + sha256(b"x" * 65).hexdigest()[:16] + "~"),
    ],
)
def test_an_issued_id_starts_with_its_partition(value: str | None, prefix: str) -> None:
    assert partition_prefix(value) == prefix
    assert check_id(prefix + ulid(ULID_MS, bytes(10)))


def test_a_ulid_is_that_of_the_specification() -> None:
    assert ulid(ULID_MS, bytes(range(10))) == "01ARYZ6S41000G40R40M30E209"
    assert ulid(2**48 - 1, b"\xff" * 10) == "7" + "Z" * 25


@given(st.lists(st.tuples(st.integers(0, 2**48 - 1), st.binary(min_size=10, max_size=10))))
def test_ulids_sort_by_time(parts: list[tuple[int, bytes]]) -> None:
    assert [ulid(*part) for part in sorted(parts)] == sorted(ulid(*part) for part in parts)


def test_a_keyed_name_is_pinned() -> None:
    assert keyed_name("key:ops", "acme", "k-1", 0) == "2GH52NT2ZHPYV4KBF1K6QEWEVX"


@given(st.integers(0, 2**47), st.integers(0, 2**47))
def test_a_retry_of_a_keyed_create_gets_the_same_name_at_any_time(first: int, later: int) -> None:
    assert keyed_name("p", "ns", "k-1", first) == keyed_name("p", "ns", "k-1", later)


def test_no_two_callers_namespaces_or_keys_share_a_name() -> None:
    cases = [(p, ns, k) for p in ("a", "b") for ns in ("a", "b") for k in ("a", "b", ULID_KEY)]
    assert len({keyed_name(*case, ULID_MS) for case in cases}) == len(cases)


@pytest.mark.parametrize(
    "key",
    [ULID_KEY, ULID_KEY.lower(), "01563df3-6481-7abc-8def-0123456789ab", f"{ULID_KEY}/49"],
)
def test_a_time_ordered_key_gives_the_time_of_the_name(key: str) -> None:
    time_part = "01ARYZ6S41"
    for now_ms in (ULID_MS, ULID_MS - DAY_MS + 1, ULID_MS + DAY_MS - 1):
        assert keyed_name("p", "ns", key, now_ms).startswith(time_part)
    for now_ms in (0, ULID_MS - DAY_MS, ULID_MS + DAY_MS):
        assert not keyed_name("p", "ns", key, now_ms).startswith(time_part)


@pytest.mark.parametrize("text", [".", ".."])
def test_ids_that_url_normalisers_eat_are_refused(text: str) -> None:
    with pytest.raises(InvalidInputError):
        check_id(text)
