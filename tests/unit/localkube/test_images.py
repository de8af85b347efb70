"""What goes into the images: the right packages, the same bytes, and no drift from the Dockerfiles."""

import hashlib
import json
import tarfile
import tomllib
from pathlib import Path

import pytest

from localkube.images import debian, lock
from localkube.images.oci import cached_layer, write_image, write_layer
from localkube.images.project import ENVIRONMENT, MODULES, REPOSITORY, USER, _config, tag

DOCKERFILES = {"node": "node_image/Dockerfile", "operator": "operator/Dockerfile"}


def names(extra: str) -> set[str]:
    return set(lock.parse(lock.requirements(REPOSITORY, extra)))


def fill(tree: Path) -> None:
    (tree / "etc").mkdir()
    (tree / "etc" / "motd").write_text("hello")


def test_an_image_gets_its_extra_and_what_that_needs() -> None:
    assert {"aiohttp", "yarl", "lmdb", "sortedcontainers", "uvloop"} <= names("node")
    assert {"aiohttp", "yarl", "kopf", "kubernetes", "cryptography", "cffi"} <= names("operator")


def test_no_image_gets_what_only_tests_or_the_other_image_need() -> None:
    assert not names("node") & {"pytest", "hypothesis", "mypy", "kopf", "kubernetes"}
    assert not names("operator") & {"pytest", "hypothesis", "mypy", "lmdb", "uvloop"}


@pytest.mark.parametrize("extra", MODULES)
def test_every_package_of_an_image_is_pinned_and_hashed(extra: str) -> None:
    for block in lock.parse(lock.requirements(REPOSITORY, extra)).values():
        assert "==" in block.splitlines()[0]
        assert "--hash=sha256:" in block


def test_an_asker_counts_wherever_the_lock_names_it() -> None:
    one, several = "a==1\n    # via b\n", "a==1\n    # via\n    #   b\n    #   c\n"
    assert lock.askers(one) == {"b"}
    assert lock.askers(several) == {"b", "c"}


def test_the_same_tree_gives_the_same_layer(tmp_path: Path) -> None:
    first, second = tmp_path / "1.tar", tmp_path / "2.tar"
    write_layer(first, fill)
    write_layer(second, fill)
    assert first.read_bytes() == second.read_bytes()
    with tarfile.open(first) as tar:
        assert {(member.uid, member.gid, member.mtime) for member in tar} == {(0, 0, 0)}


def test_a_layer_is_filled_once_for_a_key(tmp_path: Path) -> None:
    filled = []

    def count(tree: Path) -> None:
        filled.append(tree)

    layers = [cached_layer(tmp_path, key, count) for key in ("a", "a", "b")]
    assert len(filled) == 2
    assert layers[0] == layers[1] != layers[2]


def test_every_blob_of_an_image_has_the_digest_that_names_it(tmp_path: Path) -> None:
    layer, image = tmp_path / "layer.tar", tmp_path / "image.tar"
    write_layer(layer, fill)
    write_image(image, "localhost/x:1", [layer], {"User": "1"})
    with tarfile.open(image) as tar:
        blobs = [member for member in tar if member.name.startswith("blobs/")]
        for blob in blobs:
            file = tar.extractfile(blob)
            assert file
            assert hashlib.sha256(file.read()).hexdigest() == Path(blob.name).name
        index = tar.extractfile("index.json")
        assert index
        [manifest] = json.load(index)["manifests"]
    assert len(blobs) == 3  # layer, configuration, manifest
    assert manifest["annotations"]["io.containerd.image.name"] == "localhost/x:1"


def test_the_tag_carries_the_project_version() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    assert tag("node") == f"localhost/memory-spine-node:{project['version']}"


@pytest.mark.parametrize("image", MODULES)
def test_the_dockerfile_says_what_our_own_image_says(image: str) -> None:
    text = (REPOSITORY / DOCKERFILES[image]).read_text()
    assert f"ENTRYPOINT {json.dumps(_config(image)['Entrypoint'])}" in text
    assert f"USER {USER}" in text
    assert f"RUN echo {debian.USER} >> /etc/passwd && echo {debian.GROUP} >> /etc/group" in text
    assert all(setting in text for setting in ENVIRONMENT if not setting.startswith("PATH="))
    assert f"python lock.py {image} " in text
