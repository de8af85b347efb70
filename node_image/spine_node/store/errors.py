"""What can be wrong with a store as a whole; a single refused operation is a reply, not an error."""

from pathlib import Path

from spine_core.errors import SpineError


class StorageError(SpineError):
    """The disk or the store on it does not do what was asked; nothing was acknowledged."""


class StorageFullError(StorageError):
    """The disk is full for this operation; reads go on, and it may be tried again."""


class StoreBusyError(StorageError):
    """More operations wait than the writer may be given; shed load and try again."""


class StoreClosedError(StorageError):
    """The writer has ended: the store was closed, or a disk error ended it (the cause says which)."""


class CursorExpiredError(StorageError):
    """The feed does not lead on from this position: what followed it is no longer kept."""

    def __init__(self, position: int, head: int) -> None:
        super().__init__(f"the feed no longer leads from {position} to {head}")
        self.position = position
        self.head = head


class StoreLockedError(StorageError):
    """Another process has this directory open."""

    def __init__(self, path: Path, pid: str) -> None:
        super().__init__(f"{path} is in use by process {pid or 'unknown'}")
        self.path = path
        self.pid = pid


class StoreDamagedError(StorageError):
    """The data file is cut off, or holds something that no store has written; it was not touched."""

    def __init__(self, file: Path, why: str) -> None:
        super().__init__(
            f"{file} is damaged: {why}: restore it from a backup or, where other nodes hold its"
            " memories, give an empty directory"
        )
        self.file = file
        self.why = why


class StoreFormatError(StorageError):
    """The directory holds a store of another format; nothing in it was touched."""

    def __init__(self, path: Path, found: int, known: int) -> None:
        super().__init__(f"{path} holds store format {found}; this version reads format {known}")
        self.path = path
        self.found = found
        self.known = known
