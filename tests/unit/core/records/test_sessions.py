from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spine_core.errors import ProblemError
from spine_core.records.sessions import (
    WRITES_MAX,
    Session,
    merge,
    open_session,
    seal_session,
)
from spine_core.records.tokens import SESSION_CHARS_MAX, derive_key, seal_token
from spine_core.records.versions import STRONG, Version, hlc_of, make_version
from spine_core.scalars import Hlc, Origin

KEY = derive_key(b"secret", "session")
NEW_KEY = derive_key(b"next secret", "session")
TOKEN = "AQAAAAAABwAAAAAAAAADAAAAAAAAAAAACQAAAAAAAAUAAAAAAAEAXPzzpY8brxw"
TOKEN_WITH_HMAC = (
    "AQAAAAAABwAAAAAAAAADAAAAAAAAAAAACQAAAAAAAAUAAAAAAAEAch8drWXwnIk"  # of the same session
)

versions = st.builds(
    make_version, st.integers(1, 60), st.integers(1, 2), kind=st.sampled_from([0, STRONG])
)
write = st.tuples(st.integers(1, 40), versions)
writes = st.lists(write, max_size=8) | st.lists(write, min_size=24, max_size=40)


def session_of(history: list[tuple[int, Version]]) -> Session:
    session = Session()
    for key, version in history:
        session = session.wrote(key, version)
    return session


sessions = st.builds(session_of, writes)


def test_a_token_is_pinned() -> None:
    session = Session(
        t=Hlc(7 << 16), o=Hlc(3 << 16), writes=((9, make_version(Hlc(5 << 16), Origin(1))),)
    )
    assert KEY.hex() == "0d3e065da757aef97301cc6020a4975cf351b4d472cb587dc9b569d9cfa4f684"
    assert seal_session(session, KEY) == TOKEN
    assert open_session(TOKEN, [KEY]) == session


@given(sessions)
def test_a_session_survives_its_token(session: Session) -> None:
    token = seal_session(session, KEY)
    assert len(token) <= 503 < SESSION_CHARS_MAX
    assert token.replace("-", "").replace("_", "").isalnum()
    assert open_session(token, [KEY]) == session


@given(sessions, st.integers(1, 40), versions)
def test_a_write_is_a_merge_with_the_session_of_that_write(
    session: Session, key: int, version: Version
) -> None:
    alone = Session(hlc_of(version), Hlc(0), ((key, version),))
    assert session.wrote(key, version) == merge((session, alone))


@pytest.mark.parametrize("key", [0, 7, 16])  # the oldest, one between, a new one
def test_the_newest_of_seventeen_writes_is_a_merge_too(key: int) -> None:
    session = session_of([(each, make_version(Hlc(10 + each), Origin(1))) for each in range(16)])
    version = make_version(Hlc(99), Origin(1))
    after = session.wrote(key, version)
    assert after == merge((session, Session(Hlc(99), Hlc(0), ((key, version),))))
    assert after.o == (10 if key == 16 else 0)


@given(sessions, st.data())
def test_a_changed_token_is_refused(session: Session, data: st.DataObject) -> None:
    token = seal_session(session, KEY)
    at = data.draw(st.integers(0, len(token) - 3))  # the last digits may hold unused bits
    other = data.draw(st.sampled_from("AZaz09-_~é ").filter(lambda digit: digit != token[at]))
    with pytest.raises(ProblemError, match="invalid-session"):
        open_session(token[:at] + other + token[at + 1 :], [KEY])


@pytest.mark.parametrize(
    "text", ["", "A", "AAAA", "=", TOKEN[:-1], TOKEN * 12, "ä" * 40, TOKEN_WITH_HMAC]
)
def test_what_is_no_token_is_refused(text: str) -> None:
    with pytest.raises(ProblemError) as refusal:
        open_session(text, [KEY])
    assert refusal.value.code == "invalid-session"


def test_a_token_signed_with_the_other_secret_of_a_rotation_is_accepted() -> None:
    assert open_session(TOKEN, [NEW_KEY, KEY]).t == 7 << 16
    with pytest.raises(ProblemError):
        open_session(TOKEN, [NEW_KEY])


def test_a_token_of_another_purpose_is_no_session() -> None:
    page_key = derive_key(b"secret", "page")
    with pytest.raises(ProblemError, match="invalid-session"):
        open_session(seal_token(b"a position", page_key), [KEY])


def test_a_signed_payload_of_another_format_is_no_session() -> None:
    with pytest.raises(ProblemError, match="invalid-session"):
        open_session(seal_token(bytes(17), KEY), [KEY])


@given(sessions, sessions)
def test_merging_is_commutative(a: Session, b: Session) -> None:
    assert merge([a, b]) == merge([b, a])


@given(sessions, sessions, sessions)
def test_merging_is_associative(a: Session, b: Session, c: Session) -> None:
    assert merge([merge([a, b]), c]) == merge([a, merge([b, c])]) == merge([a, b, c])


@given(sessions)
def test_merging_is_idempotent(session: Session) -> None:
    assert merge([session, session]) == merge([session]) == session


@given(sessions, sessions)
def test_a_merged_session_needs_all_that_either_needed(a: Session, b: Session) -> None:
    both = merge([a, b])
    for session in (a, b):
        assert both.t >= session.t
        for key, version in session.writes:
            need = both.need(key)
            assert (need is not None and need[1:] >= version[1:]) or hlc_of(version) <= both.o


@given(writes)
def test_no_own_write_is_forgotten_without_a_trace(history: list[tuple[int, Version]]) -> None:
    session = session_of(history)
    assert len(session.writes) <= WRITES_MAX
    for key, version in history:
        assert session.t >= hlc_of(version)
        need = session.need(key)
        assert (need is not None and need[1:] >= version[1:]) or hlc_of(version) <= session.o


@given(sessions)
def test_the_newest_writes_are_kept_oldest_first(session: Session) -> None:
    assert all(hlc_of(a[1]) <= hlc_of(b[1]) for a, b in pairwise(session.writes))
    assert all(hlc_of(version) >= session.o for _, version in session.writes)


def test_a_weak_write_after_a_purged_register_is_needed() -> None:
    tombstone = make_version(Hlc(50), Origin(1), kind=STRONG)
    reborn = make_version(Hlc(100), Origin(1))
    assert Session().wrote(9, tombstone).wrote(9, reborn).need(9) == reborn


def test_what_was_seen_only_moves_forward() -> None:
    session = Session(t=Hlc(5))
    assert session.saw(Hlc(9)).t == 9
    assert session.saw(Hlc(3)) is session


@given(sessions, st.integers(0, 70))
def test_trimming_drops_only_what_every_replica_has(session: Session, stable: int) -> None:
    trimmed = session.trimmed(Hlc(stable))
    assert trimmed.t == session.t
    assert trimmed.writes == tuple(w for w in session.writes if hlc_of(w[1]) > stable)
    assert trimmed.o == (session.o if session.o > stable else 0)
