"""Python bytecode inside an image: pods cannot write it, and starting without it costs seconds."""

import compileall
import py_compile
import re
import sys
from pathlib import Path

IMAGE_PYTHON = (3, 11)  # Debian 12's
# Generated models by the thousand, imported one by one when used: a file each is enough.
LEFT_OUT = re.compile(r"/kubernetes/")


def compile_tree(tree: Path) -> None:
    """Compile every module, if the Python that runs this writes what the image's Python reads.

    The files are checked against nothing at import, so a layer needs no times.
    """
    if sys.version_info[:2] == IMAGE_PYTHON:
        compileall.compile_dir(
            tree,
            quiet=2,
            rx=LEFT_OUT,
            stripdir=str(tree),
            prependdir="/",
            invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        )
