"""Every safety rule has a test that fails without it.

In a copy of the source tree the test that guards a rule passes; then the rule is removed from the
copy, and the test must fail because of it: a mutant that is a typing error would fail any test.
SPINE_MUTANTS=all runs all of them, a number that many, drawn with SEED; the default keeps
`make test` fast.
"""

import ast
import importlib
import os
import pkgutil
import random
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mutants.mutant import Mutant
from mutants.trees import ROOT, Forest

SAMPLE = 6
TEST_FAILED = "1"  # exit status of pytest; 2 and above mean that it could not run the test
TYPING_ERRORS = "E9,F821,F823"  # of ruff: syntax, names that nothing defines
NOT_A_PROOF = re.compile(
    r"^E +(NameError|UnboundLocalError|SyntaxError|ImportError)\b", re.MULTILINE
)


def collect() -> list[Mutant]:
    """Return the mutants of all modules of this folder."""
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
    assert mutant.places((ROOT / mutant.file).read_text(encoding="utf-8")) == 1
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
        file.write_text(mutant.applied(source), encoding="utf-8")
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


@pytest.fixture(scope="module")
def forest(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Forest]:
    """Begin with the proofs of all mutants whose tests are collected."""
    parameters = [
        item.callspec.params.get("mutant")
        for item in request.session.items
        if isinstance(item, pytest.Function) and "forest" in item.fixturenames
    ]
    wanted = [mutant for mutant in parameters if isinstance(mutant, Mutant)]
    with Forest(tmp_path_factory.mktemp("mutants"), wanted) as made:
        yield made


@pytest.mark.parametrize("mutant", sample(), ids=name_of)
def test_a_rule_cannot_be_removed_unnoticed(mutant: Mutant, forest: Forest) -> None:
    proof = forest.proofs[mutant].result()
    assert proof.mutated is not None, f"fails in a copy even with the rule: {proof.intact.output}"
    status, output = proof.mutated.status, proof.mutated.output
    assert status != "0", f"passes without the rule; drawn with SEED={SEED}: {mutant}"
    assert status == TEST_FAILED, f"{status}: {output}"
    assert not NOT_A_PROOF.search(output), output
