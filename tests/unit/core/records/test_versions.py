from hypothesis import given
from hypothesis import strategies as st

from spine_core.records.versions import (
    ABSENT,
    PRUNED_REV,
    STRONG,
    WEAK,
    etag_of,
    hlc_from_ms,
    hlc_of,
    kind_of,
    make_version,
    ms_of,
    origin_in,
)
from spine_core.scalars import Hlc, Origin

hlcs = st.integers(1, 2**64 - 1)
stores = st.integers(0, 2**32 - 1)
kinds = st.sampled_from([WEAK, STRONG])
revs = st.integers(0, 255)


def test_a_version_has_these_bytes() -> None:
    version = make_version(Hlc(0x0192_3456_789A_0007), Origin(3), kind=STRONG, rev=PRUNED_REV)
    assert version.hex() == "0101923456789a000700000003ff"


@given(hlcs, stores, kinds, revs)
def test_a_version_gives_back_its_parts(hlc: int, store: int, kind: int, rev: int) -> None:
    version = make_version(Hlc(hlc), Origin(store), kind=kind, rev=rev)
    assert (hlc_of(version), kind_of(version)) == (hlc, kind)
    assert origin_in(version) == store
    assert version > ABSENT


@given(st.tuples(kinds, hlcs, stores, revs), st.tuples(kinds, hlcs, stores, revs))
def test_the_order_of_the_bytes_is_class_then_clock_then_store_then_rev(
    a: tuple[int, int, int, int], b: tuple[int, int, int, int]
) -> None:
    version_a = make_version(Hlc(a[1]), Origin(a[2]), kind=a[0], rev=a[3])
    version_b = make_version(Hlc(b[1]), Origin(b[2]), kind=b[0], rev=b[3])
    assert (version_a < version_b) == (a < b)


@given(hlcs, stores, hlcs, stores)
def test_a_strong_version_beats_every_weak_one(h1: int, s1: int, h2: int, s2: int) -> None:
    assert make_version(Hlc(h1), Origin(s1), kind=STRONG) > make_version(
        Hlc(h2), Origin(s2), kind=WEAK
    )


@given(hlcs, stores, kinds, revs)
def test_the_etag_leaves_out_class_and_rev(hlc: int, store: int, kind: int, rev: int) -> None:
    etag = etag_of(make_version(Hlc(hlc), Origin(store), kind=kind, rev=rev))
    assert etag == etag_of(make_version(Hlc(hlc), Origin(store)))
    assert etag == f"{hlc:016x}-{store:08x}"


def test_etags_sort_like_the_writes_of_a_record() -> None:
    versions = [make_version(Hlc(hlc), Origin(store)) for hlc in (1, 9, 2**40) for store in (1, 2)]
    assert sorted(map(etag_of, versions)) == [etag_of(version) for version in sorted(versions)]


def test_a_millisecond_holds_65536_writes() -> None:
    assert hlc_from_ms(7) == 7 << 16
    assert ms_of(Hlc(hlc_from_ms(7) + 65535)) == 7
    assert ms_of(Hlc(hlc_from_ms(7) + 65536)) == 8
