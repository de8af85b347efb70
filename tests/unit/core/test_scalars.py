"""Origins tell stores of all regions apart; no other region than 0 exists yet."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spine_core.errors import InvalidInputError
from spine_core.scalars import (
    REGION_MAX,
    STORE_NUMBER_MAX,
    StoreNumber,
    check_region,
    number_of,
    origin_of,
    region_of,
)

regions = st.integers(0, REGION_MAX)
numbers = st.integers(1, STORE_NUMBER_MAX).map(StoreNumber)


@given(regions, numbers)
def test_an_origin_keeps_region_and_number(region: int, number: StoreNumber) -> None:
    origin = origin_of(region, number)
    assert origin < 2**32
    assert (region_of(origin), number_of(origin)) == (region, number)


@given(numbers)
def test_in_region_zero_an_origin_is_the_store_number(number: StoreNumber) -> None:
    assert int(origin_of(0, number)) == int(number)  # what stores have written so far


@pytest.mark.parametrize("region", [1, 255])
def test_a_region_that_is_not_built_is_refused_where_it_was_given(region: int) -> None:
    with pytest.raises(InvalidInputError, match="leave it out or set 0") as refused:
        check_region(region, path="SPINE_REGION_NUMBER")
    assert refused.value.path == "SPINE_REGION_NUMBER"


def test_region_zero_is_allowed() -> None:
    check_region(0, path="SPINE_REGION_NUMBER")
