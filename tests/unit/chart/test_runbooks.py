"""Whatever reason a status can show, a page says what to do; and no page is about anything else."""

import ast
import re
from pathlib import Path

import pytest

from spine_core.planning.guards import Guard
from spine_operator.status.stalled import REASONS

ROOT = Path(__file__).parents[3]
OPERATOR = ROOT / "operator" / "spine_operator"
RUNBOOKS = ROOT / "docs" / "runbooks"
PAGES = {page.stem: page.read_text() for page in RUNBOOKS.glob("*.md")}
INDEX = PAGES.pop("README")

CALM = {"Accepted", "InForce", "Progressing"}  # nobody has to do anything
# What else is written in CamelCase in conditions.py: types that are no reasons, and statuses.
TYPES = {
    *("Ready", "Available", "FullyReplicated", "TopologySatisfied", "ConfigValid"),
    *("CertificatesValid", "Reconciling", "UpdatePending"),
}
STATUSES = {"True", "False", "Unknown"}


def reasons() -> set[str]:
    """Return every reason that the operator's code can set."""
    tree = ast.parse((OPERATOR / "status" / "conditions.py").read_text())
    texts = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    names = {
        text for text in texts if isinstance(text, str) and re.fullmatch("[A-Z][A-Za-z]+", text)
    }
    return (names - TYPES - STATUSES) | set(REASONS)


def test_reasons_have_runbooks() -> None:
    assert set(PAGES) == reasons() - CALM


def test_the_index_names_every_reason() -> None:
    linked = {name for name, file in re.findall(r"\[(\w+)\]\((\w+)\.md\)", INDEX) if name == file}
    assert linked == set(PAGES)
    assert all(f"`{reason}`" in INDEX for reason in CALM)


@pytest.mark.parametrize("reason", sorted(PAGES))
def test_a_page_says_what_it_means_how_to_see_it_and_what_to_do(reason: str) -> None:
    page = PAGES[reason]
    assert page.startswith(f"# {reason}\n\n`")
    headings = re.findall(r"^## (.*)$", page, re.MULTILINE)
    assert headings in (["See", "Do"], []), "both, or a pointer to another page"
    assert headings or "](" in page


@pytest.mark.parametrize("reason", REASONS)
def test_the_page_of_a_stall_says_that_only_a_human_can_help(reason: str) -> None:
    assert "`Stalled=True`" in PAGES[reason]


def test_no_page_points_into_the_void() -> None:
    for name, page in {**PAGES, "README": INDEX}.items():
        for target in re.findall(r"\]\(([^)#]+)\)", page):
            assert (RUNBOOKS / target).exists(), f"{name} points to {target}"


def test_the_page_about_blocked_explains_every_guard() -> None:
    explained = set(re.findall(r"^\| `(\w+)` \|", PAGES["Blocked"], re.MULTILINE))
    assert explained - {"check"} == set(Guard)
