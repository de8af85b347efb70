"""The files of a node: closed to other accounts, and fit together, before anything is opened.

A mode that is given when a file is made says nothing about one that was there before, made by hand,
unpacked from a backup, or by an older version. So modes are looked at with every start.
"""

import logging
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final

from spine_core.errors import InvalidInputError
from spine_node.store.layout import DATA_FILE

INDEX_FILE: Final = "index.sqlite"
SECRET_FILE: Final = "secret"  # noqa: S105 - its name
_FILES: Final = (
    DATA_FILE, "lock.mdb", "lock", SECRET_FILE, INDEX_FILE, f"{INDEX_FILE}-wal", f"{INDEX_FILE}-shm",
)  # fmt: skip
_NOT_OWNER: Final = stat.S_IRWXG | stat.S_IRWXO

logger = logging.getLogger("spine.node")


def claim_directory(data: Path, *, mounted: bool) -> None:
    """Make the directory of a node's data, or make it and the files in it nobody else's.

    `mounted`: the directory is the root of a volume, which belongs to the machine and not to us, and
    is no other container's.

    Raises:
        InvalidInputError: something stays open to others, or an index is there without its store.
    """
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    close_to_others(data, _NOT_OWNER, may_stay=mounted)
    for name in _FILES:
        if (data / name).exists():
            close_to_others(data / name, _NOT_OWNER)
    _check_store_is_there(data)


def close_to_others(
    path: Path,
    bits: int = stat.S_IRWXO,
    *,
    may_stay: bool = False,
    chmod: Callable[[Path, int], None] = Path.chmod,
) -> None:
    """Take mode bits away from a file; a group that somebody gave a file of his is left to him.

    Raises:
        InvalidInputError: other accounts can use it, and we may not change that.
    """
    mode = stat.S_IMODE(path.stat().st_mode)
    if not mode & bits:
        return
    try:
        chmod(path, mode & ~bits)
    except OSError as error:
        if may_stay or not mode & stat.S_IRWXO:
            logger.info("open_to_others", extra={"path": str(path), "mode": f"{mode:04o}"})
            return
        cure = f"its owner must run chmod {mode & ~bits:o}"
        raise InvalidInputError(
            f"is open to every account (mode {mode:04o}) and not ours to close: {cure}",
            path=str(path),
        ) from error
    logger.warning("closed_to_others", extra={"path": str(path), "mode": f"{mode:04o}"})


def _check_store_is_there(data: Path) -> None:
    """An index is made from a store: where one stands alone, the store was lost, not never made."""
    store, index = data / DATA_FILE, data / INDEX_FILE
    if _is_empty(store) and not _is_empty(index):
        raise InvalidInputError(
            f"is missing or empty, and {INDEX_FILE} beside it shows that it was not: put it back,"
            f" or remove {INDEX_FILE} to begin with nothing",
            path=str(store),
        )


def _is_empty(path: Path) -> bool:
    return not path.exists() or path.stat().st_size == 0
