"""What a store stands on: its disk, its writer, and the instants at which a test may stop it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from spine_node.store.committer import Failpoint
from spine_node.store.draft import Effects
from spine_node.store.space import Disk, FileSystem
from spine_node.store.writer import Perform, StoreWriter, Writer


def _never_fail(_instant: str) -> None:
    """Be the failpoint of production."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StorePorts:
    """What a store stands on, each replaceable by a test's own."""

    failpoint: Failpoint = _never_fail  # may stop the process at a named instant, or fail there
    disk: Callable[[Path, Callable[[], int]], Disk] = FileSystem  # of data file, bytes in use
    writer: Callable[[Perform[Effects], Failpoint], StoreWriter[Effects]] = Writer
