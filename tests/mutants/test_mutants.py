"""Every safety rule has a test that fails without it.

For each mutant the source tree is copied, and the test that guards the rule passes there; then the
rule is removed from the copy, and the test must fail because of it: a mutant that is a typing error
would fail any test. SPINE_MUTANTS=all runs all of them, a number that many, drawn with SEED; the
default keeps `make test` fast.
"""

import ast
import importlib
import os
import pkgutil
import random
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mutants.mutant import Mutant

ROOT = Path(__file__).parents[2]
PACKAGES = ("node_image", "operator", "client")  # each holds import packages
SAMPLE = 6
TEST_FAILED = 1  # exit status of pytest; 2 and above mean that it could not run the test
TIMEOUT_S = 120
TYPING_ERRORS = "E9,F821,F823"  # of ruff: syntax, names that nothing defines
NOT_A_PROOF = re.compile(
    r"^E +(NameError|UnboundLocalError|SyntaxError|ImportError)\b", re.MULTILINE
)
# No shrinking; and no bytecode, which a change of the same second and size would not outdate.
QUIET = {"HYPOTHESIS_PROFILE": "mutants", "PYTHONDONTWRITEBYTECODE": "1"}


def collect() -> list[Mutant]:
    """Return the mutants of all rooms."""
    names = sorted(module.name for module in pkgutil.iter_modules([str(Path(__file__).parent)]))
    modules = [importlib.import_module(f"mutants.{name}") for name in names if name[:5] != "test_"]
    return [mutant for module in modules for mutant in getattr(module, "MUTANTS", [])]


def name_of(mutant: Mutant) -> str:
    return f"{Path(mutant.file).stem}-{mutant.killed_by.rpartition('::')[2]}"


MUTANTS = collect()
SEED = int(os.environ.get("SEED") or random.SystemRandom().randrange(2**32))


def sample() -> list[Mutant]:
    wanted = os.environ.get("SPINE_MUTANTS", str(SAMPLE))
    if wanted == "all":
        return MUTANTS
    return random.Random(SEED).sample(MUTANTS, min(int(wanted), len(MUTANTS)))


@pytest.mark.parametrize("mutant", MUTANTS, ids=name_of)
def test_the_rule_that_a_mutant_removes_stands_in_the_source_once(mutant: Mutant) -> None:
    assert (ROOT / mutant.file).read_text(encoding="utf-8").count(mutant.old) == 1
    assert mutant.new != mutant.old


@pytest.mark.parametrize("mutant", MUTANTS, ids=name_of)
def test_the_test_that_guards_a_rule_exists(mutant: Mutant) -> None:
    file, _, test = mutant.killed_by.partition("::")
    name = test.rpartition("::")[2].partition("[")[0]
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    functions = [
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    assert name in functions


def test_no_mutant_is_a_typing_error(tmp_path: Path) -> None:
    for number, mutant in enumerate(MUTANTS):
        source = (ROOT / mutant.file).read_text(encoding="utf-8")
        file = tmp_path / f"mutant_{number}_{Path(mutant.file).name}"
        file.write_text(source.replace(mutant.old, mutant.new), encoding="utf-8")
    words = (
        "check",
        "--isolated",
        "--quiet",
        "--target-version=py311",
        f"--select={TYPING_ERRORS}",
    )
    checked = subprocess.run(
        [sys.executable, "-m", "ruff", *words, tmp_path],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("mutant", sample(), ids=name_of)
def test_a_rule_cannot_be_removed_unnoticed(mutant: Mutant, tmp_path: Path) -> None:
    copy_tree(tmp_path)
    status, output = run_test(tmp_path, mutant.killed_by)
    assert status == 0, f"fails in a copy even with the rule: {output}"
    source = tmp_path / mutant.file
    source.write_text(source.read_text(encoding="utf-8").replace(mutant.old, mutant.new), "utf-8")
    status, output = run_test(tmp_path, mutant.killed_by)
    assert status != 0, f"passes without the rule; drawn with SEED={SEED}: {mutant}"
    assert status == TEST_FAILED, output
    assert not NOT_A_PROOF.search(output), output


def copy_tree(top: Path) -> None:
    for folder in (*PACKAGES, "crds", "tests"):
        shutil.copytree(
            ROOT / folder, top / folder, ignore=shutil.ignore_patterns("__pycache__", "tools")
        )
    shutil.copy(ROOT / "pyproject.toml", top)


def run_test(top: Path, test: str) -> tuple[int, str]:
    """Run one test in a copy; PYTHONPATH stands before the paths of an editable installation."""
    paths = os.pathsep.join(str(top / name) for name in PACKAGES)
    finished = subprocess.run(
        [sys.executable, "-m", "pytest", test, "-x", "-q", "--hypothesis-seed=0"],
        cwd=top,
        env=os.environ | QUIET | {"PYTHONPATH": paths},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    return finished.returncode, finished.stdout
