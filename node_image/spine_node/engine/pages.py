"""The serving half of `pull`: what a peer may read of our slots (protocol.md §9.1).

Every answer comes from behind a no-op in our writer queue, so all that this store has acknowledged
is in it. Bodies:
`roots` [slot, …] → [[root, floor, bytes], …]                root: 16 bytes; bytes: of its records
`buckets` [slot, …] → [[digest, …], …]                       64 × 16 bytes for each slot
`keys` [[slot, [bucket, …]], …] → [[key, version], …]        of at most `KEYS_MAX`
`fetch` [key, …] → [record or nil, …]                        the keys carry their slots
`page` [slot, after] → [[[key, record], …], next or nil, floor]   one page of a whole slot
"""

from spine_core.tally import Answer
from spine_node.engine.replica import Replica
from spine_node.links.frames import Request, pack, unpack
from spine_node.links.server import Outcome
from spine_node.store import Store
from spine_node.store.operations import Barrier

PAGE_RECORDS_MAX = 500
PAGE_BYTES_MAX = 1024 * 1024
KEYS_MAX = 20_000  # key and version pairs in one answer


class Pages:
    """Serves the methods of pull."""

    def __init__(self, store: Store, replica: Replica) -> None:
        self._store, self._replica = store, replica

    async def roots(self, request: Request) -> Outcome:
        """Serve `roots`."""
        refusal = await self._behind_the_queue(request)
        if refusal:
            return refusal
        store = self._store
        answer = [
            [store.root(slot), store.floor(slot), store.slot_stats(slot)[1]]
            for slot in unpack(request.body)
        ]
        return Answer.OK, pack(answer)

    async def buckets(self, request: Request) -> Outcome:
        """Serve `buckets`."""
        refusal = await self._behind_the_queue(request)
        if refusal:
            return refusal
        digests = [
            [digest.to_bytes(16, "big") for digest in self._store.digest(slot)]
            for slot in unpack(request.body)
        ]
        return Answer.OK, pack(digests)

    async def keys(self, request: Request) -> Outcome:
        """Serve `keys`. A cut answer is legal: what it lacks differs again in the next round."""
        refusal = await self._behind_the_queue(request)
        if refusal:
            return refusal
        found: list[tuple[bytes, bytes]] = []
        for slot, buckets in unpack(request.body):
            left = KEYS_MAX - len(found)
            if left > 0:
                found += self._store.scan_versions(slot, frozenset(buckets), None, left)
        return Answer.OK, pack(found)

    async def fetch(self, request: Request) -> Outcome:
        """Serve `fetch`."""
        refusal = await self._behind_the_queue(request)
        if refusal:
            return refusal
        return Answer.OK, pack([self._store.get(key) for key in unpack(request.body)])

    async def page(self, request: Request) -> Outcome:
        """Serve `page`."""
        refusal = await self._behind_the_queue(request)
        if refusal:
            return refusal
        slot, after = unpack(request.body)
        records, following = self._store.scan(slot, after, PAGE_RECORDS_MAX, PAGE_BYTES_MAX)
        return Answer.OK, pack([records, following, self._store.floor(slot)])

    async def _behind_the_queue(self, request: Request) -> Outcome | None:
        await self._store.submit(Barrier())
        return self._replica.refuse(request.epoch)
