"""The rules that no linter knows: sizes, names and their uses, what reference pages must know."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from prometheus_client.metrics import MetricWrapperBase

from readme.cli_page import FILE, cli_page
from spine_node.metrics import Metrics as NodeMetrics
from spine_node.metrics import RequestSeconds
from spine_operator.metrics import Metrics as OperatorMetrics
from spine_operator.settings import PREFIX
from spine_operator.settings import Settings as OperatorSettings
from spine_operator.status.stalled import REASONS

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"
CODE = ("node_image", "operator", "client", "tests", "bench")
PRODUCT = ("node_image", "operator", "client", "charts")
FOLDERS = (*CODE, "charts", "crds", "docs", "examples", ".ci")
# Inside one of these a name means one thing.
VOCABULARIES = (
    "node_image/spine_core",
    "node_image/spine_node",
    "operator/spine_operator",
    "client/memory_spine",
    "client/spine_cli",
    "tests/support",
    "tests/simulation",
)
METAPHORS = re.compile(
    r"\b(rooms|(a|an|any|each|every|other|this) room|houses?|doors?|desks?|shelf|shelves|rigs?|leash(es)?)\b",
    re.IGNORECASE,
)
# How a test gets round a port: it puts something else into a real object.
PATCHES = re.compile(
    r"ignore\[[\w, -]*method-assign|\b(monkeypatch|patch)\.setattr\(|\b(object\.__)?setattr(__)?\("
)
FILE_LINES_MAX, FUNCTION_LINES_MAX = 400, 60

VARIABLE = re.compile(r"\bSPINE(?:_[A-Z]+)+\b")
READ_BY_TESTS = re.compile(r"environ\.get\(\"(SPINE_[A-Z_]+)\"")
FIRST_CELL = re.compile(r"^\| `(\w+)` \|", re.MULTILINE)
CAMEL_CASE = re.compile(r"`([A-Z][A-Za-z]+)`")
MAKE = re.compile(r"(?:^|`|\"|=1 )(?:sudo )?make ([a-z][a-z-]+)", re.MULTILINE)
LINK = re.compile(r"\]\((?!https?:)([^)#\s]+)")
NOT_REASONS = {"True", "False", "Unknown"}
FORBIDDEN = {
    "a registry": r"\b(pypi\.org|pythonhosted\.org|proxy\.golang\.org|docker\.io|ghcr\.io|quay\.io|gcr\.io)\b",
    "a path of the machine that built it": r"(?<![\w.~$}-])/(work|root|home|Users)/",
    "the number of an issue": r"(?<![\w&/])#\d{1,5}\b",  # six digits: a colour
}


# The agreed design cites other projects' issues and names commands that are still to come.
AGREED = {f"docs/design/{name}.md" for name in ("api", "glossary", "operator", "protocol")}


def files(*folders: str, suffix: str = "") -> Iterator[Path]:
    """Yield the files of some folders, without what tools have left there."""
    for folder in folders:
        for path in sorted((ROOT / folder).rglob(f"*{suffix}")):
            hidden = {part for part in path.relative_to(ROOT / folder).parts if part[0] in "._"}
            if path.is_file() and hidden <= {"__init__.py", "__main__.py", path.name}:
                yield path


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def page(name: str) -> str:
    return (REFERENCE / name).read_text(encoding="utf-8")


def test_no_file_is_longer_than_its_reader_can_keep_in_mind() -> None:
    lines = {named(path): path.read_bytes().count(b"\n") for path in files(*CODE, suffix=".py")}
    long = {name: count for name, count in lines.items() if count > FILE_LINES_MAX}
    assert {name for name in long if not name.startswith("tests/mutants/")} == set()  # tables


def test_no_function_is_longer_than_a_screen() -> None:
    long = {
        f"{named(path)}::{found.name}": length
        for path in files(*CODE, suffix=".py")
        for found in functions(path)
        if (length := (found.end_lineno or 0) - found.lineno + 1) > FUNCTION_LINES_MAX
    }
    assert long == {}


@pytest.mark.parametrize("folder", VOCABULARIES)
def test_no_public_class_shares_its_name_with_another_of_its_package(folder: str) -> None:
    defined = defaultdict(list)
    for path in files(folder, suffix=".py"):
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                defined[node.name].append(named(path))
    assert len(defined) > 5
    assert {name: paths for name, paths in defined.items() if len(paths) > 1} == {}


def test_no_metaphor_stands_where_the_field_has_a_word() -> None:
    paths = [ROOT / "ARCHITECTURE.md", *files("node_image", "operator", "client", "charts")]
    found = [
        f"{named(path)}: {line.strip()}"
        for path in paths
        for line in path.read_text(encoding="utf-8").splitlines()
        if METAPHORS.search(line)
    ]
    assert found == []


def test_no_test_puts_a_fake_into_a_real_object() -> None:
    found = [
        f"{named(path)}: {line.strip()}"
        for path in files("tests", suffix=".py")
        if path.parent.name != "mutants" and path.name != Path(__file__).name
        for line in path.read_text(encoding="utf-8").splitlines()
        if PATCHES.search(line) and "object.__setattr__(self, " not in line
    ]
    assert found == []


@pytest.mark.parametrize("folder", ["operator", "tests/operator"])
def test_no_folder_hides_the_standard_module_operator(folder: str) -> None:
    assert (ROOT / folder).is_dir()
    assert not (ROOT / folder / "__init__.py").exists()


def test_every_variable_of_the_environment_has_its_row_and_nothing_else_has_one() -> None:
    texts = [path.read_text(encoding="utf-8") for path in files(*PRODUCT)]
    read = {name for text in texts for name in VARIABLE.findall(text)}
    fields = {*OperatorSettings.__dataclass_fields__, "seat_addresses_file"} - {"seat_addresses"}
    read |= {f"{PREFIX}{name.upper()}" for name in fields}
    for path in files("tests", suffix=".py"):
        read |= set(READ_BY_TESTS.findall(path.read_text(encoding="utf-8")))
    rows = FIRST_CELL.findall(page("settings.md"))
    assert sorted(rows) == sorted(read)


def metrics(of: NodeMetrics | OperatorMetrics) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Return name → type and labels, as a page writes them."""
    found = {}
    for metric in vars(of).values():
        if isinstance(metric, MetricWrapperBase):
            [family] = metric.describe()
            name = f"{family.name}_total" if family.type == "counter" else family.name
            found[name] = (family.type, metric._labelnames)
        elif isinstance(metric, RequestSeconds):
            [histogram] = metric.describe()
            found[histogram.name] = (histogram.type, histogram._labelnames)
    return found


def test_every_metric_has_its_row_and_nothing_else_has_one() -> None:
    row = re.compile(r"^\| `(\w+)` \| (gauge|counter|histogram) \| ([^|]*) \|", re.MULTILINE)
    rows = {
        name: (kind, tuple(re.findall(r"`(\w+)`", labels)))
        for name, kind, labels in row.findall(page("metrics.md").replace("| |", "|  |"))
    }
    assert rows == metrics(NodeMetrics()) | metrics(OperatorMetrics())


@pytest.mark.parametrize(
    ("of", "folder"), [(NodeMetrics(), "node_image"), (OperatorMetrics(), "operator")]
)
def test_no_metric_is_only_declared(of: NodeMetrics | OperatorMetrics, folder: str) -> None:
    text = "\n".join(path.read_text(encoding="utf-8") for path in files(folder, suffix=".py"))
    declared = [name for name, one in vars(of).items() if isinstance(one, MetricWrapperBase)]
    assert [name for name in declared if len(re.findall(rf"\.{name}\b", text)) < 2] == []


def test_every_condition_and_reason_is_in_the_table_and_nothing_else_is() -> None:
    source = ROOT / "operator" / "spine_operator" / "status" / "conditions.py"
    texts = {
        node.value
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    names = {text for text in texts if re.fullmatch(r"[A-Z][A-Za-z]+", text)} - NOT_REASONS
    table = "\n".join(line for line in page("conditions.md").splitlines() if line[:1] == "|")
    assert set(CAMEL_CASE.findall(table)) == names | set(REASONS)


def test_the_page_of_the_command_line_is_what_the_commands_make_of_it() -> None:
    assert FILE.read_text(encoding="utf-8") == cli_page()


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_line_names(what: str) -> None:
    top = (path for path in sorted(ROOT.iterdir()) if path.is_file() and path.name != ".git")
    found = [
        f"{named(path)}: {line.strip()}"
        for path in (*top, *files(*FOLDERS))
        if named(path) not in AGREED
        for line in path.read_text(encoding="utf-8").splitlines()
        if re.search(FORBIDDEN[what], line)
    ]
    assert found == []


def test_no_file_names_a_target_that_make_does_not_have() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    pages = [path for path in files(*FOLDERS) if named(path) not in AGREED]
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / "README.md", *pages)]
    named_targets = {target for text in texts for target in MAKE.findall(text)}
    assert named_targets - targets == set()
    assert {"demo", "test", "help"} <= named_targets


def test_no_page_points_into_the_void() -> None:
    pages = [*ROOT.glob("*.md"), *files(*FOLDERS, suffix=".md")]
    void = [
        f"{named(path)}: {target}"
        for path in pages
        for target in LINK.findall(path.read_text(encoding="utf-8"))
        if not (path.parent / target).exists()
    ]
    assert void == []
    assert len(pages) > 30


def test_the_architecture_page_names_what_is_there() -> None:
    places = {f"/{named(path)}" for path in files(*FOLDERS)}
    spans = re.findall(r"`([\w/]+(?:/|\.py)|tests/[\w/]+)`", (ROOT / "ARCHITECTURE.md").read_text())
    assert [span for span in spans if not any(f"/{span}" in place for place in places)] == []
    assert len(spans) > 30
