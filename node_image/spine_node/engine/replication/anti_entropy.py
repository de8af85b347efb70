"""Anti-entropy: this node pulls what its peers hold newer, for ever (protocol.md §9.1).

Pull is the only data mover and needs no acknowledgement: a round that ends under one epoch moves
our row of the sync matrix to the time before it began. A round that is cut short moves nothing.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence

from spine_core.records.encoding import version_in
from spine_core.records.versions import Version, hlc_from_ms, hlc_of
from spine_core.scalars import Hlc, Slot, StoreNumber
from spine_node.engine.cluster.context import Context
from spine_node.engine.cluster.stable_time import StableTimes
from spine_node.engine.cluster.topology_view import TopologyView
from spine_node.engine.replication.pull_server import BUCKETS, FETCH, KEYS, ROOTS
from spine_node.engine.replication.throttle import Pace
from spine_node.engine.replication.transfer_progress import TransferTracker
from spine_node.links.mesh import CallError
from spine_node.store import StorageError, split_key
from spine_node.store.operations import Merge

logger = logging.getLogger("spine.engine")

ROUND_S = 10.0
RETRY_S = 1.0  # after a round in which a peer was out of reach
CALL_TIMEOUT_S = 10.0  # of one call of a round: pages are large and disks busy
YOUNG_MS = 2000  # a version younger than this is still on its way by itself
SLOTS_AT_ONCE = 256  # whose buckets and keys one call asks for
FETCH_KEYS_MAX = 200  # asked for in one call; the peer sends as many as fill a page
ANTI_ENTROPY, CHANGE = "anti-entropy", "change"  # why records are pulled, in metrics


class PullCutError(Exception):
    """A pull cannot be ended, as when the epoch moved on. Nothing follows."""


class DamagedError(PullCutError):
    """The source holds a record that fails its checksum."""


class AntiEntropy:
    """The recurring pulls of one node."""

    def __init__(
        self, context: Context, stable: StableTimes, gains: TransferTracker, pace: Pace
    ) -> None:
        self._stable, self._gains, self._pace = stable, gains, pace
        self._store, self._membership = context.store, context.membership
        self._replicas, self._hlc = context.replicas, context.hlc
        self._clock, self._metrics = context.clock, context.metrics
        self._done: dict[
            StoreNumber, Hlc
        ] = {}  # source → HLC before its last complete pull, this epoch
        self._epoch = 0
        self.wake = asyncio.Event()  # set: begin a round now
        self.rounds = 0  # complete rounds since start, for readiness

    async def run(self) -> None:
        """Pull from every peer with shared slots, at once and then every round."""
        while True:
            view = self._membership.view
            complete = view is not None and await self._round(view)
            pause_s = ROUND_S if complete else RETRY_S
            await self._clock.wait(self.wake, self._clock.jittered(pause_s))

    async def _round(self, view: TopologyView) -> bool:
        if view.number is None:
            return True
        self._begin_epoch(view)
        began = self._hlc.tick()
        left_out = self._left_to_the_change(view)
        shared = self._shared(view)
        complete = [await self._pull(view, peer, slots, left_out) for peer, slots in shared.items()]
        self._note(view, view.number, began)  # alone, our own clock is the whole matrix
        self.rounds += all(complete) and not left_out
        return all(complete)

    def row(self) -> Mapping[StoreNumber, Hlc]:
        """Return our row of the sync matrix for the epoch in force."""
        return self._done if self._epoch == self._membership.epoch else {}

    def ages_s(self) -> dict[StoreNumber, float]:
        """Return the seconds since the start of the last complete pull, by source."""
        now = self._hlc.now()
        return {source: ((now - at) >> 16) / 1000 for source, at in self.row().items()}

    def _begin_epoch(self, view: TopologyView) -> None:
        if view.epoch != self._epoch:
            self._epoch, self._done = view.epoch, {}

    def _shared(self, view: TopologyView) -> dict[StoreNumber, list[Slot]]:
        """Return peer → the slots whose write set holds both of us, ascending."""
        assert view.number is not None
        shared: dict[StoreNumber, list[Slot]] = {}
        for slot in sorted(view.placement.slots_of(view.number)):
            for store in view.placement.write_set(slot):
                if store != view.number:
                    shared.setdefault(store, []).append(slot)
        return shared

    def _left_to_the_change(self, view: TopologyView) -> frozenset[Slot]:
        """Return gained slots that `joining` will pull at its pace; when it is suspended, none."""
        progress = self._gains.follow(view)
        return frozenset() if progress is None or self._pace.suspended else progress.left

    async def _pull(
        self, view: TopologyView, peer: StoreNumber, shared: list[Slot], left_out: frozenset[Slot]
    ) -> bool:
        began = self._hlc.tick()
        slots = [slot for slot in shared if slot not in left_out]
        try:
            differing = await self._differing(view, peer, slots)
            for at in range(0, len(differing), SLOTS_AT_ONCE):
                before = Hlc(self._hlc.now() - hlc_from_ms(YOUNG_MS))
                chunk = differing[at : at + SLOTS_AT_ONCE]
                await self.pull_slots(view, peer, chunk, before, reason=ANTI_ENTROPY)
        except (CallError, PullCutError, StorageError) as error:
            logger.info("pull_cut", extra={"peer": peer, "why": str(error)})
            return False
        self._metrics.digest_mismatches.set(len(differing))
        if len(slots) == len(shared):
            self._note(view, peer, began)
        return True

    def _note(self, view: TopologyView, source: StoreNumber, began: Hlc) -> None:
        """Move our row: everything that `source` had acknowledged before `began` is here."""
        if view.epoch != self._membership.epoch or view.epoch != self._epoch:
            return
        self._done = {**self._done, source: began}
        assert view.number is not None
        self._stable.put_row(view.number, view.epoch, self._done)

    async def _differing(
        self, view: TopologyView, peer: StoreNumber, slots: list[Slot]
    ) -> list[Slot]:
        roots = await self._replicas.ask(view, peer, ROOTS, slots, CALL_TIMEOUT_S)
        if len(roots) != len(slots):
            raise PullCutError("roots of other slots than were asked for")
        pairs = zip(slots, roots, strict=True)
        return [slot for slot, (root, *_) in pairs if root != self._store.root(slot)]

    async def pull_slots(
        self, view: TopologyView, peer: StoreNumber, slots: list[Slot], before: Hlc, *, reason: str
    ) -> int:
        """Pull what a peer holds newer than we do, of versions stamped before an HLC.

        What is younger is on its way by itself. `slots` ascend. Returns how many records were newer
        than ours.

        Raises:
            CallError: the peer did not answer.
            PullCutError: the store refused what came.
        """
        theirs = await self._replicas.ask(view, peer, BUCKETS, slots, CALL_TIMEOUT_S)
        if len(theirs) != len(slots):
            raise PullCutError("digests of other slots than were asked for")
        wanted = []
        for slot, digests in zip(slots, theirs, strict=True):
            mine = self._store.digest(slot)
            buckets = [b for b, d in enumerate(digests) if int.from_bytes(d, "big") != mine[b]]
            wanted.append((slot, buckets))
        applied, after = 0, None
        while True:
            body = [wanted, after]
            versions, after = await self._replicas.ask(view, peer, KEYS, body, CALL_TIMEOUT_S)
            keys = [key for key, version in versions if self._lacks(key, version, before)]
            applied += await self._fetch(view, peer, keys, reason=reason)
            if after is None:
                return applied

    def _lacks(self, key: bytes, version: Version, before: Hlc) -> bool:
        mine = self._store.get(key)
        newer = mine is None or version_in(mine) < version
        return newer and hlc_of(version) < before

    async def _fetch(
        self, view: TopologyView, peer: StoreNumber, keys: list[bytes], *, reason: str
    ) -> int:
        applied = 0
        while keys:
            asked = keys[:FETCH_KEYS_MAX]
            raws = await self._replicas.ask(view, peer, FETCH, asked, CALL_TIMEOUT_S)
            if not raws:
                raise PullCutError("nothing was sent")
            pairs = zip(keys, raws, strict=False)  # as many as filled a page
            found = [(key, raw) for key, raw in pairs if raw is not None]
            applied += await self.merge(view, found, reason=reason)
            keys = keys[len(raws) :]
        return applied

    async def merge(
        self, view: TopologyView, records: Sequence[tuple[bytes, bytes]], *, reason: str
    ) -> int:
        """Merge pulled records by version, durably; return how many were newer than ours.

        Raises:
            PullCutError: the store refused them: another epoch, a full disk.
            DamagedError: a checksum was wrong.
        """
        size = sum(len(raw) for _, raw in records)
        await self._pace.spend(size)
        by_slot: dict[int, list[tuple[bytes, bytes]]] = {}
        for key, raw in records:
            by_slot.setdefault(split_key(key)[0], []).append((key, raw))
        bootstrap = reason == CHANGE
        replies = await asyncio.gather(
            *(
                self._store.submit(Merge(slot, view.epoch, entries, bootstrap=bootstrap))
                for slot, entries in by_slot.items()
            )
        )
        for reply in replies:
            if reply.status != "ok":
                raise PullCutError(reply.status)
            if reply.corrupt:
                raise DamagedError(f"{reply.corrupt} records fail their checksum")
        applied = sum(reply.applied for reply in replies)
        self._metrics.pull_records.labels(reason).inc(applied)
        self._metrics.pull_bytes.labels(reason).inc(size)
        return applied
