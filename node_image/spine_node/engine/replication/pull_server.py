"""The serving half of `pull`: what a peer may read of our slots (protocol.md §9.1).

Every answer comes from behind a no-op in our writer queue, so all that this store has acknowledged
is in it. Bodies:
`roots` [slot, …] → [[root, floor, bytes], …]                root: 16 bytes; bytes: of its records
`buckets` [slot, …] → [[digest, …], …]                       64 × 16 bytes for each slot
`keys` [[[slot, [bucket, …]], …], after] → [[[key, version], …], next or nil]   slots ascending
`fetch` [key, …] → [record or nil, …]                        for the first keys, at least one
`page` [slot, after] → [[[key, record], …], next or nil, floor]   one page of a whole slot
"""

from spine_core.records.versions import Version
from spine_core.replication.replica_status import ReplicaStatus
from spine_core.scalars import Hlc
from spine_node.engine.cluster.replica import Replica
from spine_node.links.frames import Request, pack, unpack
from spine_node.links.mesh import Method
from spine_node.links.server import Outcome
from spine_node.store import Store
from spine_node.store.layout import slot_of_key
from spine_node.store.operations import Barrier, Reserve

PAGE_RECORDS_MAX = 500
PAGE_BYTES_MAX = 1024 * 1024
KEYS_MAX = 20_000  # key and version pairs in one answer

Entries = list[tuple[bytes, bytes]]  # key, record
Versions = list[tuple[bytes, Version]]
ROOTS = Method("roots", list[tuple[bytes, int, int]])
BUCKETS = Method("buckets", list[list[bytes]])
KEYS = Method("keys", tuple[Versions, bytes | None])
FETCH = Method("fetch", list[bytes | None])
PAGE = Method("page", tuple[Entries, bytes | None, Hlc])


class Pages:
    """Serves the methods of pull."""

    def __init__(self, store: Store, replica: Replica) -> None:
        self._store, self._replica = store, replica

    async def roots(self, request: Request) -> Outcome:
        """Serve `roots`.

        A pull begins here, and the caller will hold that whatever was stamped long before it comes
        too late for us from now on. So its time is made durable: we do not forget it, whatever our
        clock says after a restart.
        """
        await self._store.submit(Reserve(request.hlc))
        refusal = await self._behind_the_queue(request)
        if refusal:
            return refusal
        store = self._store
        answer = [
            [store.root(slot), store.floor(slot), store.slot_stats(slot)[1]]
            for slot in unpack(request.body)
        ]
        return ReplicaStatus.OK, pack(answer)

    async def buckets(self, request: Request) -> Outcome:
        """Serve `buckets`."""
        refusal = await self._behind_the_queue(request)
        if refusal:
            return refusal
        digests = [
            [digest.to_bytes(16, "big") for digest in self._store.digest(slot)]
            for slot in unpack(request.body)
        ]
        return ReplicaStatus.OK, pack(digests)

    async def keys(self, request: Request) -> Outcome:
        """Serve `keys`."""
        refusal = await self._behind_the_queue(request)
        if refusal:
            return refusal
        wanted, after = unpack(request.body)
        begin = -1 if after is None else slot_of_key(after)
        found: Versions = []
        for slot, buckets in wanted:
            if slot < begin:
                continue
            behind = after if slot == begin else None
            left = KEYS_MAX - len(found)
            found += self._store.scan_versions(slot, frozenset(buckets), behind, left)
            if len(found) == KEYS_MAX:
                return ReplicaStatus.OK, pack([found, found[-1][0]])
        return ReplicaStatus.OK, pack([found, None])

    async def fetch(self, request: Request) -> Outcome:
        """Serve `fetch`."""
        refusal = await self._behind_the_queue(request)
        if refusal:
            return refusal
        found: list[bytes | None] = []
        size = 0
        for key in unpack(request.body):
            found.append(self._store.get(key))
            size += len(found[-1] or b"")
            if size >= PAGE_BYTES_MAX:
                break
        return ReplicaStatus.OK, pack(found)

    async def page(self, request: Request) -> Outcome:
        """Serve `page`."""
        refusal = await self._behind_the_queue(request)
        if refusal:
            return refusal
        slot, after = unpack(request.body)
        records, following = self._store.scan(slot, after, PAGE_RECORDS_MAX, PAGE_BYTES_MAX)
        return ReplicaStatus.OK, pack([records, following, self._store.floor(slot)])

    async def _behind_the_queue(self, request: Request) -> Outcome | None:
        await self._store.submit(Barrier())
        return self._replica.refuse(request.epoch)
