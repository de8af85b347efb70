"""Copies of the source tree in which tests run, two at a time, with and without a rule."""

import json
import os
import py_compile
import queue
import shutil
import subprocess
import sys
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from mutants.mutant import Mutant

ROOT = Path(__file__).parents[2]
PACKAGES = ("node_image", "operator", "client")  # each holds import packages
TIMEOUT_S = 120
# No shrinking; and no new bytecode, which a change of the same second and size would not outdate.
QUIET = {"HYPOTHESIS_PROFILE": "mutants", "PYTHONDONTWRITEBYTECODE": "1"}


@dataclass(frozen=True, slots=True)
class Run:
    """How one run of a test ended: pytest's exit status, or `timeout`, and what it printed."""

    status: str
    output: str


@dataclass(frozen=True, slots=True)
class Proof:
    """A mutant's two runs: with the rule and, if that one passed, without it."""

    intact: Run
    mutated: Run | None


class Tree:
    """One copy, and the process that runs tests in it."""

    def __init__(self, top: Path) -> None:
        self._top = top
        _copy(top)
        paths = os.pathsep.join(str(top / name) for name in PACKAGES)  # before those installed
        self._server = subprocess.Popen(
            # -P: the folder of this file has modules that are called like some of Python's
            [sys.executable, "-P", str(Path(__file__).with_name("fork_server.py"))],
            cwd=top,
            env=os.environ | QUIET | {"PYTHONPATH": paths},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, test: str) -> Run:
        """Run one test as the tree is now."""
        output = self._top.with_name(f"{self._top.name}.output")
        scratch = self._top.with_name(f"{self._top.name}.tmp")  # emptied by the next run
        arguments = [test, "-x", "-q", "--hypothesis-seed=0", f"--basetemp={scratch}"]
        wanted = {"arguments": arguments, "output": str(output), "timeout_s": TIMEOUT_S}
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.write(f"{json.dumps(wanted)}\n")
        self._server.stdin.flush()
        status = self._server.stdout.readline().strip()
        return Run(status, output.read_text("utf-8", "replace") if output.exists() else "")

    def run_without(self, mutant: Mutant) -> Run:
        """Run the test of a mutant without its rule, and put the rule back."""
        file = self._top / mutant.file
        source = file.read_text(encoding="utf-8")
        file.write_text(mutant.applied(source), encoding="utf-8")
        try:
            return self.run(mutant.killed_by)
        finally:
            file.write_text(source, encoding="utf-8")

    def close(self) -> None:
        """End the process."""
        assert self._server.stdin is not None
        with suppress(BrokenPipeError):
            self._server.stdin.close()
        assert self._server.stdout is not None
        self._server.stdout.close()
        self._server.wait()


class Forest:
    """As many trees as there are processors; each mutant's proof is a future."""

    def __init__(self, top: Path, mutants: Iterable[Mutant]) -> None:
        self.proofs: dict[Mutant, Future[Proof]] = {mutant: Future() for mutant in mutants}
        by_test: dict[str, list[Mutant]] = {}
        for mutant in self.proofs:
            by_test.setdefault(mutant.killed_by, []).append(mutant)
        count = min(os.cpu_count() or 1, len(by_test))
        self._free: queue.SimpleQueue[Tree] = queue.SimpleQueue()
        self._trees = [Tree(top / f"tree-{number}") for number in range(count)]
        for tree in self._trees:
            self._free.put(tree)
        self._pool = ThreadPoolExecutor(count)
        for test, group in by_test.items():
            self._pool.submit(self._prove, test, group)

    def _prove(self, test: str, mutants: list[Mutant]) -> None:
        """Run a test once with all rules and once without each that it guards."""
        tree = self._free.get()
        try:
            intact = tree.run(test)
            for mutant in mutants:
                mutated = tree.run_without(mutant) if intact.status == "0" else None
                self.proofs[mutant].set_result(Proof(intact, mutated))
        except BaseException as error:
            for mutant in mutants:
                if not self.proofs[mutant].done():
                    self.proofs[mutant].set_exception(error)
            raise
        finally:
            self._free.put(tree)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._pool.shutdown(cancel_futures=True)
        for tree in self._trees:
            tree.close()


def _copy(top: Path) -> None:
    for folder in (*PACKAGES, "crds", "tests"):
        shutil.copytree(
            ROOT / folder, top / folder, ignore=shutil.ignore_patterns("__pycache__", "tools")
        )
    shutil.copy(ROOT / "pyproject.toml", top)
    for package in PACKAGES:
        for file in (top / package).rglob(
            "*.py"
        ):  # valid for exactly this source, whatever its time
            py_compile.compile(
                str(file), invalidation_mode=py_compile.PycInvalidationMode.CHECKED_HASH
            )
