from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spine_core.records.tokens import KeyKind, derive_key, open_token, seal_token

KEY = derive_key(b"secret", "page")
NEW_KEY = derive_key(b"next secret", "page")
TOKEN = "Y3Vyc29yhmAgQR92wjY"


def opened(text: str, *keys: bytes, chars_max: int = 600) -> bytes | None:
    return open_token(text, keys or (KEY,), chars_max=chars_max)


def test_a_token_is_pinned() -> None:
    assert seal_token(b"cursor", KEY) == TOKEN
    assert opened(TOKEN) == b"cursor"


@given(st.binary(max_size=400))
def test_a_payload_survives_its_token(payload: bytes) -> None:
    token = seal_token(payload, KEY)
    assert token.replace("-", "").replace("_", "").isalnum()
    assert opened(token) == payload


@given(st.binary(max_size=40), st.data())
def test_a_changed_token_does_not_open(payload: bytes, data: st.DataObject) -> None:
    token = seal_token(payload, KEY)
    at = data.draw(st.integers(0, len(token) - 3))  # the last digits may hold unused bits
    other = data.draw(st.sampled_from("AZaz09-_~é ").filter(lambda digit: digit != token[at]))
    assert opened(token[:at] + other + token[at + 1 :]) is None


@pytest.mark.parametrize("text", ["", "A", "AAAA", "=", TOKEN[:-1], TOKEN * 12, "ä" * 40])
def test_what_is_no_token_does_not_open(text: str) -> None:
    assert opened(text) is None


def test_a_token_longer_than_the_limit_does_not_open() -> None:
    assert opened(TOKEN, chars_max=len(TOKEN)) == b"cursor"
    assert opened(TOKEN, chars_max=len(TOKEN) - 1) is None


def test_any_secret_of_a_rotation_opens_and_another_one_does_not() -> None:
    assert opened(TOKEN, NEW_KEY, KEY) == b"cursor"
    assert opened(TOKEN, NEW_KEY) is None


def test_each_purpose_has_its_own_key() -> None:
    keys = {derive_key(b"secret", kind) for kind in get_args(KeyKind)}
    assert len(keys) == len(get_args(KeyKind))
