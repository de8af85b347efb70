"""What clients of a world have asked, and what came of it."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from spine_core.records.consistency import Model
from spine_core.records.encoding import FLAG_TOMBSTONE, Record, split_body
from spine_core.records.versions import ABSENT, STRONG, Version, hlc_of, kind_of


@dataclass(slots=True, kw_only=True)
class Event:
    """One operation; of a keyed retry one for all attempts."""

    client: int
    seat: str
    key: str
    action: str
    began_s: float
    ended_s: float = 0.0
    outcome: str = "ok"  # ok; fail: it took no effect; info: nobody knows
    code: str = ""  # of a problem
    detail: str = ""
    op: int = 0  # of a write
    body: bytes | None = None  # that was written, or read; None: a tombstone, or nothing
    version: Version = ABSENT  # of what was written or read
    found: Version | None = None  # of what refused a condition
    found_op: int = 0  # that wrote it
    expected: Version | None = None  # that a condition names
    model: Model | None = None
    needed: Version = ABSENT  # what the session had written there
    fence: int = 0
    strict: bool = False  # asked of a healed cluster, at a ready node
    read_op: int = 0  # of the operation that wrote what was read

    @property
    def is_quorum_read(self) -> bool:
        """Whether it read from a quorum."""
        return self.action == "read" and self.model in {Model.CAUSAL, Model.STRONG}

    @property
    def is_write(self) -> bool:
        """Whether it may have changed the record."""
        return self.action not in {"read", "list"}

    @property
    def is_strong(self) -> bool:
        """Whether a round has made its version."""
        return self.version != ABSENT and kind_of(self.version) == STRONG

    def saw(self, record: Record | None) -> None:
        """Note the record that was written or read."""
        if record is None or hlc_of(record.version) == 0:
            return
        self.version, self.read_op = record.version, record.op
        dead = record.flags & FLAG_TOMBSTONE
        self.body = None if dead else split_body(record.body)[1]


@dataclass(slots=True, kw_only=True)
class Listing:
    """All pages of one list."""

    began_s: float
    ended_s: float
    model: Model
    found: dict[str, Version]  # key → version
    is_whole: bool  # every slot answered on every page
    repeated: list[str]


@dataclass(slots=True)
class WorldHistory:
    """All that clients of a world did."""

    events: list[Event] = field(default_factory=list)
    listings: list[Listing] = field(default_factory=list)
    codes: Counter[str] = field(default_factory=Counter)

    def of_key(self, key: str) -> Iterator[Event]:
        """Return the events of a key, in the order in which they ended."""
        return (event for event in self.events if event.key == key)

    @property
    def keys(self) -> list[str]:
        """The keys that anything was done to."""
        return sorted({event.key for event in self.events})
