"""Layers and images as files: one tar holding an OCI image layout.

Layers stay uncompressed: they never leave the machine. Invariant: the same tree gives the same
bytes, whoever builds it and when.
Source: OCI Image Format Specification 1.1.
"""

import hashlib
import io
import json
import platform
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from localkube.api import Json

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
OCI = "application/vnd.oci.image"


def cached_layer(cache: Path, key: str, fill: Callable[[Path], None]) -> Path:
    """Return the layer for `key`; `fill` writes its tree when nobody has before."""
    layer = cache / f"{hashlib.sha256(key.encode()).hexdigest()[:16]}.tar"
    if not layer.exists():
        write_layer(layer, fill)
    return layer


def write_layer(layer: Path, fill: Callable[[Path], None]) -> None:
    """Let `fill` write a tree, and pack it as owned by root, without times."""
    layer.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=layer.parent) as scratch:
        tree, draft = Path(scratch) / "tree", Path(scratch) / "draft.tar"
        tree.mkdir()
        fill(tree)
        with tarfile.open(draft, "w") as tar:
            for path in sorted(tree.iterdir()):
                tar.add(path, arcname=path.name, filter=_normalized)
        draft.rename(layer)


def write_image(out: Path, tag: str, layers: Sequence[Path], config: Json) -> None:
    """Write an image of these layers, lowest first."""
    architecture = ARCHITECTURES[platform.machine()]
    draft = out.with_suffix(".draft")
    with tarfile.open(draft, "w") as tar:
        _add(tar, "oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
        stored = [_add_layer(tar, layer) for layer in layers]
        digests = [layer["digest"] for layer in stored]
        image = {
            "architecture": architecture,
            "os": "linux",
            "config": config,
            "rootfs": {"type": "layers", "diff_ids": digests},
        }
        manifest = {
            "schemaVersion": 2,
            "mediaType": f"{OCI}.manifest.v1+json",
            "config": _add_blob(tar, _json(image), f"{OCI}.config.v1+json"),
            "layers": stored,
        }
        named = _add_blob(tar, _json(manifest), f"{OCI}.manifest.v1+json")
        reference = {"org.opencontainers.image.ref.name": tag.rsplit(":", 1)[1]}
        named["annotations"] = {"io.containerd.image.name": tag, **reference}
        _add(tar, "index.json", _json({"schemaVersion": 2, "manifests": [named]}))
    draft.rename(out)


def _normalized(info: tarfile.TarInfo) -> tarfile.TarInfo:
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    info.mtime = 0
    return info


def _json(document: Json) -> bytes:
    return json.dumps(document, sort_keys=True).encode()


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    tar.addfile(info, io.BytesIO(data))


def _add_blob(tar: tarfile.TarFile, data: bytes, media_type: str) -> Json:
    digest = hashlib.sha256(data).hexdigest()
    _add(tar, f"blobs/sha256/{digest}", data)
    return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(data)}


def _add_layer(tar: tarfile.TarFile, layer: Path) -> Json:
    with layer.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    tar.add(layer, arcname=f"blobs/sha256/{digest}", filter=_normalized)
    size = layer.stat().st_size
    return {"mediaType": f"{OCI}.layer.v1.tar", "digest": f"sha256:{digest}", "size": size}
