"""The node's and the operator's image: what node_image/Dockerfile and operator/Dockerfile build.

Three layers each, from what changes least to what changes most: Debian with Python, the pinned
dependencies, the project. The first two are cached by what they are a function of.
"""

import configparser
import os
import sys
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType

from localkube.api import Json
from localkube.images import debian
from localkube.images.bytecode import IMAGE_PYTHON, LEFT_OUT, compile_tree
from localkube.images.lock import requirements
from localkube.images.oci import cached_layer, write_image, write_layer
from localkube.processes import run

REPOSITORY = Path(__file__).parents[4]
PACKAGES = Path("usr/local/lib/python3.11/dist-packages")
SCRIPTS = Path("usr/local/bin")
MODULES = {"node": "spine_node", "operator": "spine_operator"}  # image and extra -> its program
USER = "10001:10001"
ENVIRONMENT = [
    "PATH=/usr/local/bin:/usr/bin:/bin",
    "PYTHONUNBUFFERED=1",
    "PYTHONDONTWRITEBYTECODE=1",
]


def build_images(
    out: Path, on_node: Mapping[str, Sequence[Path]] = MappingProxyType({})
) -> dict[str, Path]:
    """Build the images and return their archives: `node`, `operator`, and what `on_node` names.

    `on_node` is image name -> layers on top of the node's. Cold about 40 s, after a change of the
    project's own code about 6 s.

    Raises:
        CommandError: apt or pip failed.
    """
    cache = cache_dir()
    out.mkdir(parents=True, exist_ok=True)
    packages = cache / "debian"
    base = cached_layer(
        cache, debian.package_list(packages), lambda tree: debian.unpack(packages, tree)
    )
    archives = {}
    with TemporaryDirectory() as scratch:
        project = Path(scratch) / "project.tar"
        write_layer(project, _install_project)
        for image in MODULES:
            archives[image] = out / f"{image}.tar"
            layers = [base, _dependencies(cache, image), project]
            write_image(archives[image], tag(image), layers, _config(image))
        for image, added in on_node.items():
            archives[image] = out / f"{image}.tar"
            layers = [base, _dependencies(cache, "node"), project, *added]
            write_image(archives[image], tag(image), layers, _config("node"))
    return archives


def tag(image: str) -> str:
    """Return the name that manifests use: `localhost/memory-spine-IMAGE:VERSION`."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    return f"localhost/memory-spine-{image}:{project['version']}"


def cache_dir() -> Path:
    """Return the directory of cached layers."""
    cache = Path(os.environ.get("CACHE") or Path.home() / ".cache" / "memory-spine")
    return cache / "layers"


def _config(image: str) -> Json:
    entrypoint = ["python3", "-m", MODULES[image]]
    return {"Entrypoint": entrypoint, "Env": ENVIRONMENT, "User": USER, "WorkingDir": "/"}


def _dependencies(cache: Path, extra: str) -> Path:
    pinned = requirements(REPOSITORY, extra)

    def install(tree: Path) -> None:
        file = tree.with_suffix(".lock")
        file.write_text(pinned)
        _pip_install(tree, "--require-hashes", f"--requirement={file}")

    return cached_layer(cache, pinned + sys.version + LEFT_OUT.pattern, install)


def _install_project(tree: Path) -> None:
    wheels = tree.with_suffix(".wheels")
    run(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", f"-w{wheels}", REPOSITORY)
    [wheel] = wheels.iterdir()
    _pip_install(tree, wheel)
    _write_scripts(tree)


def _pip_install(tree: Path, *what: object) -> None:
    """Install wheels for the image's Python, not for the one that runs this."""
    python = ".".join(map(str, IMAGE_PYTHON))
    version = [f"--python-version={python}", "--implementation=cp", "--only-binary=:all:"]
    target = [f"--target={tree / PACKAGES}", "--no-deps", "--no-compile"]
    quiet = ["-q", "--disable-pip-version-check", "--root-user-action=ignore"]
    run(sys.executable, "-m", "pip", "install", *quiet, *version, *target, *what)
    compile_tree(tree)


def _write_scripts(tree: Path) -> None:
    """Write the project's commands: those that pip has written start the builder's Python."""
    [declared] = (tree / PACKAGES).glob("memory_spine-*.dist-info/entry_points.txt")
    entry_points = configparser.ConfigParser()
    entry_points.read(declared)
    (tree / SCRIPTS).mkdir(parents=True)
    for name, target in entry_points["console_scripts"].items():
        module, function = target.split(":")
        script = tree / SCRIPTS / name
        script.write_text(f"#!/usr/bin/python3\nfrom {module} import {function}\n\n{function}()\n")
        script.chmod(0o755)
