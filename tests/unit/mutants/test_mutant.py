"""A mutant says where its rule stands, and changes nothing else."""

import pytest

from mutants.mutant import Mutant, span

SOURCE = """\
class Tally:
    def verdict(self) -> bool:
        return True

    @property
    def open(self) -> bool:
        return True


def verdict() -> bool:
    def inner() -> int:
        return 1

    return True
"""


def mutant(old: str, within: str = "") -> Mutant:
    return Mutant(file="f.py", within=within, old=old, new="return False", killed_by="t.py::t")


@pytest.mark.parametrize(
    ("within", "places"),
    [("", 3), ("Tally", 2), ("Tally.verdict", 1), ("Tally.open", 1), ("verdict", 1)],
)
def test_a_rule_is_counted_where_its_mutant_says(within: str, places: int) -> None:
    assert mutant("return True", within).places(SOURCE) == places


@pytest.mark.parametrize(
    ("within", "number"), [("Tally.verdict", 0), ("Tally.open", 1), ("verdict", 2)]
)
def test_only_the_place_that_a_mutant_names_is_changed(within: str, number: int) -> None:
    parts = SOURCE.split("return True")
    expected = [*parts]
    expected[number] += "return False"
    expected[number] += expected.pop(number + 1)
    assert mutant("return True", within).applied(SOURCE) == "return True".join(expected)


def test_decorators_belong_to_a_definition() -> None:
    begin, end = span(SOURCE, "Tally.open")
    assert SOURCE[begin:end].splitlines()[0].strip() == "@property"
    assert SOURCE[begin:end].endswith("return True\n")


@pytest.mark.parametrize("within", ["Tally.closed", "inner", "Tally.verdict.inner", "open"])
def test_a_place_that_is_not_there_is_an_error(within: str) -> None:
    with pytest.raises(LookupError):
        mutant("return True", within).places(SOURCE)


def test_a_name_that_two_definitions_have_is_an_error() -> None:
    with pytest.raises(LookupError):
        mutant("return True", "verdict").places(f"{SOURCE}\n\ndef verdict() -> None: ...\n")
