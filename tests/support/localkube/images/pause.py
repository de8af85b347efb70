"""The image whose one program holds a pod's namespaces open."""

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

from localkube.images.oci import write_image, write_layer
from localkube.node_files import PAUSE_IMAGE
from localkube.tools import program


def write_pause_image(out: Path) -> None:
    """Write the pause image from the program that build.sh has made."""

    def fill(tree: Path) -> None:
        shutil.copy(program("pause"), tree)

    with TemporaryDirectory() as scratch:
        layer = Path(scratch) / "layer.tar"
        write_layer(layer, fill)
        write_image(out, PAUSE_IMAGE, [layer], {"Entrypoint": ["/pause"]})
