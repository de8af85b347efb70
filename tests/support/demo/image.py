"""The image of the agents: the node's image, the conversations from PyPI, and the load program.

The data set is installed for the demo and never becomes part of the repository.
"""

import shutil
import sys
from pathlib import Path

from localkube.images.bytecode import compile_tree
from localkube.images.oci import cached_layer, write_layer
from localkube.images.project import PACKAGES, REPOSITORY, build_images, cache_dir, tag
from localkube.processes import run

DATASET = "chitchat-dataset==0.9.0"
TAG = tag("agents")


def build_all(out: Path) -> dict[str, Path]:
    """Build the images of node, operator and agents; return name -> archive."""
    dataset = cached_layer(cache_dir(), DATASET, _install_dataset)
    program = out / "agents-program.tar"
    write_layer(program, _copy_program)
    return build_images(out, {"agents": [dataset, program]})


def _install_dataset(tree: Path) -> None:
    target = f"--target={tree / PACKAGES}"
    quiet = ["-q", "--disable-pip-version-check", "--root-user-action=ignore"]
    run(
        sys.executable, "-m", "pip", "install", *quiet, "--no-deps", "--no-compile", target, DATASET
    )


def _copy_program(tree: Path) -> None:
    without = shutil.ignore_patterns("__pycache__")
    program = REPOSITORY / "tests" / "support" / "agents"
    shutil.copytree(program, tree / PACKAGES / "agents", ignore=without)
    compile_tree(tree)
