import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spine_core.errors import CorruptRecordError
from spine_core.records.encoding import (
    FLAG_PINNED,
    FLAG_PRUNED,
    FLAG_TOMBSTONE,
    HEADER_BYTES,
    Record,
    decode,
    encode,
    header_of,
    is_absent,
    join_body,
    split_body,
    version_in,
)
from spine_core.records.versions import STRONG, make_version
from spine_core.scalars import Hlc, Origin


def checksum(data: bytes) -> int:
    return zlib.crc32(data) << 32 | zlib.adler32(data)


records = st.builds(
    Record,
    version=st.builds(make_version, st.integers(0, 2**64 - 1), st.integers(0, 2**32 - 1)),
    op=st.integers(0, 2**64 - 1),
    expires_ms=st.integers(0, 2**48 - 1),
    flags=st.integers(0, 7),
    body=st.binary(max_size=300),
)
EXAMPLE = Record(
    version=make_version(Hlc(0x0192_3456_789A_0007), Origin(3), kind=STRONG),
    op=0x1122_3344_5566_7788,
    expires_ms=0x0192_3456_789A,
    flags=FLAG_PINNED,
    body=b"\0\2{}{}",
)


def test_a_stored_record_has_these_bytes() -> None:
    assert encode(EXAMPLE, zlib.crc32).hex() == (
        "0104"  # format, flags
        "0101923456789a00070000000300"  # version
        "1122334455667788"  # operation
        "01923456789a"  # expires, ms
        "000006"  # length of the body
        "00000000157f4ec0"  # checksum of all other bytes
        "00027b7d7b7d"  # body
    )


@given(records)
def test_a_record_comes_back_as_it_was_stored(record: Record) -> None:
    raw = encode(record, checksum)
    assert len(raw) == HEADER_BYTES + len(record.body)
    assert decode(raw, checksum) == record
    assert version_in(raw) == record.version


@given(records)
def test_the_header_can_be_read_alone(record: Record) -> None:
    header = header_of(encode(record, checksum)[:HEADER_BYTES])
    assert (header.version, header.op, header.expires_ms, header.flags, header.length) == (
        *(record.version, record.op, record.expires_ms, record.flags),
        len(record.body),
    )


@given(records, st.data())
def test_any_flipped_bit_of_a_record_is_noticed(record: Record, data: st.DataObject) -> None:
    raw = bytearray(encode(record, checksum))
    bit = data.draw(st.integers(0, len(raw) * 8 - 1))
    raw[bit // 8] ^= 1 << bit % 8
    with pytest.raises(CorruptRecordError):
        decode(bytes(raw), checksum)


@given(records, st.data())
def test_a_cut_record_is_noticed(record: Record, data: st.DataObject) -> None:
    raw = encode(record, checksum)
    with pytest.raises(CorruptRecordError):
        decode(raw[: data.draw(st.integers(0, len(raw) - 1))], checksum)


@pytest.mark.parametrize(
    ("flags", "expires_ms", "absent"),
    [
        (0, 0, False),
        (FLAG_PINNED, 0, False),
        (FLAG_TOMBSTONE, 0, True),
        (FLAG_TOMBSTONE | FLAG_PRUNED, 0, True),
        (0, 999, True),
        (0, 1000, True),
        (0, 1001, False),
    ],
)
def test_tombstones_and_expired_records_are_absent_to_readers(
    flags: int, expires_ms: int, absent: bool
) -> None:
    record = Record(version=EXAMPLE.version, op=1, expires_ms=expires_ms, flags=flags, body=b"")
    assert is_absent(record, now_ms=1000) is absent
    assert is_absent(header_of(encode(record, checksum)), now_ms=1000) is absent


@given(st.binary(max_size=400), st.binary(max_size=100))
def test_a_body_gives_back_both_its_parts(server: bytes, client: bytes) -> None:
    assert split_body(join_body(server, client)) == (server, client)
