"""Layers that cannot run are loud; nothing else is skipped at all."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from localkube.layers import FOLDERS, TESTS, Layer, layer_of

SKIPS = "import pytest\n\ndef test_it():\n    pytest.skip('no mood')\n"


def run_pytest(*words: object, **env: str) -> subprocess.CompletedProcess[str]:
    plain = ["-c", os.devnull, "--import-mode=importlib", "-p", "localkube.layers"]
    argv = [sys.executable, "-m", "pytest", *plain, *map(str, words)]
    paths = os.pathsep.join((str(TESTS), str(TESTS / "support")))
    alone = {"PYTHONPATH": paths, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    around = {name: value for name, value in os.environ.items() if name != "SPINE_REQUIRE"}
    merged = {**around, **alone, **env}
    return subprocess.run(argv, env=merged, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("file", "layer"),
    [
        ("unit/core/test_ring.py", Layer.PURE),
        ("operator/test_reconcile.py", Layer.RECONCILE),
        ("cluster/test_static_cluster.py", Layer.PROCESSES),
        ("kube/test_crd_cases.py", Layer.CONTROL_PLANE),
        ("e2e/test_localkube.py", Layer.REAL_NODES),
    ],
)
def test_a_folder_is_a_layer(file: str, layer: Layer) -> None:
    assert layer_of(TESTS / file) == layer


def test_a_skip_in_a_layer_that_runs_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "test_skips.py").write_text(SKIPS)
    ended = run_pytest(tmp_path)
    assert ended.returncode == 1, ended.stdout
    assert "skipped in a layer that runs" in ended.stdout


def test_a_layer_that_cannot_run_is_skipped_with_the_command_that_enables_it(
    tmp_path: Path,
) -> None:
    ended = run_pytest(TESTS / "kube" / "test_controlplane.py", CACHE=str(tmp_path))
    assert ended.returncode == 0, ended.stdout
    assert "control-plane  skipped" in ended.stdout
    assert "make tools" in ended.stdout


def test_a_required_layer_that_cannot_run_is_an_error(tmp_path: Path) -> None:
    file = TESTS / "kube" / "test_controlplane.py"
    ended = run_pytest(file, CACHE=str(tmp_path), SPINE_REQUIRE="control-plane,real-nodes")
    assert ended.returncode != 0
    assert "control-plane  skipped" in ended.stderr + ended.stdout


def test_a_required_layer_that_nobody_knows_is_an_error(tmp_path: Path) -> None:
    ended = run_pytest(tmp_path, SPINE_REQUIRE="L3,pure")
    assert ended.returncode == 4, ended.stdout
    assert "no layer is called L3; there are pure, reconcile" in ended.stderr + ended.stdout


def test_every_folder_of_tests_belongs_to_a_layer() -> None:
    folders = {path.relative_to(TESTS).parts[0] for path in TESTS.rglob("test_*.py")}
    assert folders == {folder for group in FOLDERS.values() for folder in group}
