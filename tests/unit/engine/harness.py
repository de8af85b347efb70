"""What the tests of the engine share: a wall clock that obeys, and documents for real stores."""

from collections.abc import Callable
from uuid import UUID

from models.clusters import CLUSTER, SLOTS, VIRTUAL_NODES
from spine_core.topology.document import Document, StoreInfo
from spine_node.clock import Clock
from spine_node.store import Store

NOW_MS = 1_700_000_000_000
SLEEPS_MAX = 10_000
OTHER = str(UUID(int=77))


class ManualClock(Clock):
    """A wall clock that stands still until told, a monotonic clock that obeys, sleep that takes none."""

    def __init__(self) -> None:
        self.wall_ms = NOW_MS
        self.seconds = 0.0
        self.slept: list[float] = []
        self.while_asleep: Callable[[], None] = lambda: None

    def physical_ms(self) -> int:
        return self.wall_ms

    def now(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        assert len(self.slept) < SLEEPS_MAX, "sleeps and never moves on"
        self.seconds += seconds
        self.while_asleep()
        await super().sleep(0)


def document_for(store: Store | str, **fields: object) -> Document:
    """Return epoch 1 of three seats; the first one's store is this one."""
    mine = store if isinstance(store, str) else store.identity.store_id
    ids = {1: mine, 2: str(UUID(int=2)), 3: str(UUID(int=3))}
    stores = {
        n: StoreInfo(id=i, seat=f"{z}0", zone=z, url=f"{z}0:1")
        for (n, i), z in zip(ids.items(), "abc", strict=True)
    }
    defaults: dict[str, object] = {
        "cluster_id": CLUSTER,
        "epoch": 1,
        "slots": SLOTS,
        "virtual_nodes": VIRTUAL_NODES,
        "factor": 3,
        "write_quorum": 2,
        "zone_policy": "strict",
        "stores": stores,
        "current": {info.seat: n for n, info in stores.items()},
        "next_number": 4,
    }
    return Document(**defaults | fields)  # type: ignore[arg-type]


def joining_store(before: Document, store_id: str, seat: str = "a1") -> Document:
    """Return the prepare in which a store joins."""
    info = StoreInfo(id=store_id, seat=seat, zone=seat[0], url=f"{seat}:1")
    return before.with_change("join", joining=(info,), now_ms=0)
