"""The topology document of a static cluster, in a file beside the cluster file.

One writer at a time, and only on top of what stands there: a document is replaced under a lock by
one that names its digest. So two people with two terminals cannot publish two documents of one epoch.
"""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from memory_spine.errors import SpineError
from spine_core.errors import InvalidInputError
from spine_core.topology.document import Document
from spine_node.store.opening import sync_directory


class DocumentChanged(SpineError):  # noqa: N818 - said to a person
    """Somebody else has published meanwhile; look again."""


class DocumentFile:
    """`cluster.yaml` has `cluster.topology.json`."""

    def __init__(self, cluster_file: Path) -> None:
        self.path = cluster_file.with_suffix(".topology.json")

    def read(self) -> Document | None:
        """Return the document, None when none was ever published from here.

        Raises:
            InvalidInputError: the file holds no document.
        """
        try:
            return Document.from_json(json.loads(self.path.read_bytes()))
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise InvalidInputError("is no JSON", path=str(self.path)) from error
        except InvalidInputError as error:
            raise InvalidInputError(str(error), path=str(self.path)) from error

    def age_s(self, now_ms: int) -> float:
        """Return for how long the document has stood there."""
        return max(0.0, now_ms / 1000 - self.path.stat().st_mtime)

    def publish(self, document: Document) -> None:
        """Store the successor of what stands there, durably; any document when nothing does.

        Raises:
            DocumentChanged: something else stands there.
        """
        with self._locked():
            held = self.read()
            if held is not None and held.digest() != document.previous:
                raise DocumentChanged(f"{self.path} has changed to epoch {held.epoch}")
            draft = self.path.with_suffix(".draft")
            with draft.open("wb") as file:
                file.write(document.canonical())
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self.path)
            sync_directory(self.path.parent)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with self.path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
