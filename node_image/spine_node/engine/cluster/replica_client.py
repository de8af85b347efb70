"""Calls to replicas, our own among them: the coordinator sees no difference.

Also where epochs meet: a peer that is behind gets our document, one that is ahead gives us its own.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import NamedTuple

import msgspec

from spine_core.errors import CorruptRecordError
from spine_core.records.encoding import Record, decode, encode
from spine_core.records.versions import ABSENT, Version
from spine_core.replication.put_rules import RefusedPut
from spine_core.replication.read_tally import OpenRegister
from spine_core.replication.registers.encoding import decode_state
from spine_core.replication.replica_status import ReplicaStatus
from spine_core.scalars import Hlc, Slot, StoreNumber
from spine_node.clock import Clock
from spine_node.engine.cluster.replica import GET, PUT, GetCall, PutCall, Replica, document_in
from spine_node.engine.cluster.topology_service import TOPOLOGY, TopologyCall
from spine_node.engine.cluster.topology_view import Membership, MemberView
from spine_node.links.frames import EMPTY, Body
from spine_node.links.mesh import CallError, Mesh
from spine_node.links.methods import Method, ReplyT, RequestT
from spine_node.store import DamageLog, StorageError, Store, checksum
from spine_node.store.operations import PutReply

DOCUMENT_TIMEOUT_S = 1.0
LATE_FACTOR = 4  # times the mean of a store's answers: a few in a hundred take longer
LATE_MIN_S, LATE_MAX_S = 0.003, 0.05
OnPut = Callable[[StoreNumber, ReplicaStatus, Sequence[RefusedPut]], None]
OnCopy = Callable[
    [StoreNumber, ReplicaStatus, Version, "Copy | None", "OpenRegister[Copy] | None"], None
]


class Copy(NamedTuple):
    """What one store holds under a key, its checksum found good."""

    raw: bytes
    record: Record

    @property
    def version(self) -> Version:
        """The version of the record."""
        return self.record.version


def open_register(raw: bytes | None) -> OpenRegister[Copy] | None:
    """Return what an acceptor state that is not learned says to a read.

    Raises:
        CorruptRecordError: the state is damaged.
    """
    if raw is None:
        return None
    state = decode_state(raw, None, checksum)
    if state.value is None:
        return OpenRegister(state.promised)
    record = state.value.record
    copy = Copy(encode(record, checksum), record)
    return OpenRegister(state.promised, state.accepted, record.version, copy)


class ReplicaClient:
    """The replicas of the cluster by store number, as this node reaches them."""

    def __init__(
        self, mesh: Mesh, replica: Replica, membership: Membership, store: Store, clock: Clock
    ) -> None:
        self._mesh, self._replica, self._membership = mesh, replica, membership
        self._store, self._clock = store, clock
        self._damage = DamageLog(clock.physical_ms)
        self._latency_s: dict[
            StoreNumber, float
        ] = {}  # store → moving mean of its answers to `get`

    def put(
        self,
        view: MemberView,
        stores: Iterable[StoreNumber],
        put: PutCall,
        left_s: float,
        on_put: OnPut,
    ) -> None:
        """Send puts to all stores at once; `on_put(store, status, refused)` runs once for each.

        The status is that of every put but those that are `refused`.
        """
        body: Body | None = None
        for store in stores:
            if store == view.number:
                self._put_here(view, store, put, on_put)
                continue
            body = body or PUT.pack(put)
            self._put_there(view, store, body, left_s, on_put)

    def _put_here(self, view: MemberView, store: StoreNumber, put: PutCall, on_put: OnPut) -> None:
        try:
            future = self._replica.put_local(put, view.epoch)
        except StorageError:  # too many wait, or the disk failed: nothing was queued
            on_put(store, ReplicaStatus.BUSY, ())
            return

        def done(_: object) -> None:
            if future.cancelled() or future.exception():
                on_put(store, ReplicaStatus.ERROR, ())
                return
            reply: PutReply = future.result()
            on_put(store, reply.status, reply.refused)

        future.add_done_callback(done)

    def _put_there(
        self, view: MemberView, store: StoreNumber, body: Body, left_s: float, on_put: OnPut
    ) -> None:
        def on_reply(status: ReplicaStatus, body: Body) -> None:
            if status is not ReplicaStatus.OK:
                self._exchange_documents(store, status, body)
                on_put(store, status, ())
                return
            try:
                reply = PUT.reply_in(body)
            except msgspec.DecodeError:
                on_put(store, ReplicaStatus.ERROR, ())
                return
            on_put(store, reply.status, reply.refused)

        self._mesh.call(store, PUT, view.epoch, body, left_s, on_reply)

    async def get(
        self, view: MemberView, store: StoreNumber, slot: Slot, key: bytes, left_s: float
    ) -> tuple[Copy | None, Hlc]:
        """Read one key of one store: (its copy, the slot's floor there).

        Raises:
            CallError: the store did not answer with `ok`, is of another epoch, or its copy is
                damaged, which is no absence: somebody else has to be asked.
        """
        if store == view.number:
            return self.own(view, key), self._store.floor(slot)
        began = self._clock.now()
        reply = await self.ask(view, store, GET, GetCall(slot, key), left_s)
        self.note(store, self._clock.now() - began)
        return self._copy_in(store, key, reply.record), reply.floor

    def own(self, view: MemberView, key: bytes) -> Copy | None:
        """Read one key of our own store; no `await` stands between the look at the epoch and it (R1).

        Raises:
            CallError: the view is not in force any more, or the copy is damaged.
        """
        if view is not self._membership.view:
            raise CallError(view.number, ReplicaStatus.STALE_EPOCH, EMPTY)
        return self._copy_in(view.number, key, self._store.get(key))

    def _copy_in(self, store: StoreNumber, key: bytes, raw: bytes | None) -> Copy | None:
        try:
            return None if raw is None else Copy(raw, decode(raw, checksum))
        except CorruptRecordError as error:
            self._damage.note(key, store=store)
            raise CallError(store, ReplicaStatus.DAMAGED, EMPTY) from error

    def own_with_register(
        self, view: MemberView, key: bytes
    ) -> tuple[Copy | None, OpenRegister[Copy] | None]:
        """Read one key of our own store as `own` does, with what its acceptor has still to learn.

        Raises:
            CallError: the view is not in force any more, or something is damaged.
        """
        if view is not self._membership.view:
            raise CallError(view.number, ReplicaStatus.STALE_EPOCH, EMPTY)
        raw, register = self._store.get_with_register(key)
        return self._copy_in(view.number, key, raw), self._register_in(view.number, key, register)

    def _register_in(
        self, store: StoreNumber, key: bytes, raw: bytes | None
    ) -> OpenRegister[Copy] | None:
        try:
            return open_register(raw)
        except CorruptRecordError as error:
            self._damage.note(key, store=store)
            raise CallError(store, ReplicaStatus.DAMAGED, EMPTY) from error

    def ask_each(
        self,
        view: MemberView,
        peers: Iterable[StoreNumber],
        method: Method[RequestT, ReplyT],
        request: RequestT,
        left_s: float,
        on_reply: Callable[[StoreNumber, ReplicaStatus, ReplyT | None], None],
    ) -> None:
        """Call peers at once; `on_reply(store, status, reply)` for each, a reply with `ok` only."""
        body = method.pack(request)
        for store in peers:
            self._ask_one(view, store, method, body, left_s, on_reply)

    def _ask_one(
        self,
        view: MemberView,
        store: StoreNumber,
        method: Method[RequestT, ReplyT],
        body: Body,
        left_s: float,
        on_reply: Callable[[StoreNumber, ReplicaStatus, ReplyT | None], None],
    ) -> None:
        def answered(status: ReplicaStatus, body: Body) -> None:
            if status is not ReplicaStatus.OK:
                self._exchange_documents(store, status, body)
                on_reply(store, status, None)
                return
            try:
                reply = method.reply_in(body)
            except msgspec.DecodeError:
                on_reply(store, ReplicaStatus.ERROR, None)
                return
            on_reply(store, status, reply)

        self._mesh.call(store, method, view.epoch, body, left_s, answered)

    async def ask(
        self,
        view: MemberView,
        store: StoreNumber,
        method: Method[RequestT, ReplyT],
        request: RequestT,
        left_s: float,
    ) -> ReplyT:
        """Call a peer under the epoch of a view.

        Raises:
            CallError: no `ok`; a newer or older document was passed on before it was raised.
        """
        try:
            return await self._mesh.ask(store, method, view.epoch, request, left_s)
        except CallError as error:
            self._exchange_documents(store, error.status, error.body)
            raise

    def copies(
        self, view: MemberView, peers: Iterable[StoreNumber], call: GetCall, left_s: float,
        on_copy: OnCopy,
    ) -> None:  # fmt: skip
        """Read one key of peers at once; `on_copy(store, status, version, copy)` for each.

        A copy comes only where it is newer than the call knows. Without a record the status is
        `ok`, the version `ABSENT`.
        """
        body = GET.pack(call)
        for store in peers:
            self._copy_there(view, store, call, body, left_s, on_copy)

    def _copy_there(
        self, view: MemberView, store: StoreNumber, call: GetCall, body: Body, left_s: float,
        on_copy: OnCopy,
    ) -> None:  # fmt: skip
        began = self._clock.now()

        def on_reply(status: ReplicaStatus, body: Body) -> None:
            if status is not ReplicaStatus.OK:
                self._exchange_documents(store, status, body)
                on_copy(store, status, ABSENT, None, None)
                return
            self.note(store, self._clock.now() - began)
            try:
                reply = GET.reply_in(body)
                copy = self._copy_in(store, call.key, reply.record)
                register = self._register_in(store, call.key, reply.register)
            except msgspec.DecodeError:
                on_copy(store, ReplicaStatus.ERROR, ABSENT, None, None)
            except CallError as error:
                on_copy(store, ReplicaStatus(error.status), ABSENT, None, None)
            else:
                held = copy.version if copy else reply.version or ABSENT
                bare = copy is None and held > call.known  # not what was asked for
                status = ReplicaStatus.ERROR if bare else ReplicaStatus.OK
                on_copy(store, status, held, copy, register)

        self._mesh.call(store, GET, view.epoch, body, left_s, on_reply)

    def _exchange_documents(self, store: StoreNumber, status: str, body: Body) -> None:
        """Take the newer document that came with a refusal, or send ours to who lacks it."""
        if status == ReplicaStatus.STALE_EPOCH:
            self._membership.offer(document_in(body))
        elif status == ReplicaStatus.NEED_DOCUMENT:
            self.push_document(store)

    def push_document(self, store: StoreNumber) -> None:
        """Send our document to a peer that lacks it; nobody waits for the answer."""
        view = self._membership.view
        if view is not None:
            body = TOPOLOGY.pack(TopologyCall(view.document.canonical()))
            self._mesh.call(
                store, TOPOLOGY, view.epoch, body, DOCUMENT_TIMEOUT_S, lambda _status, _body: None
            )

    def fetch_document(self, store: StoreNumber) -> None:
        """Ask a peer of a higher epoch for its document, and adopt it; nobody waits."""

        def on_reply(answer: ReplicaStatus, reply: Body) -> None:
            if answer is ReplicaStatus.OK:
                with suppress(msgspec.DecodeError):
                    self._membership.offer(TOPOLOGY.reply_in(reply).document)

        body = TOPOLOGY.pack(TopologyCall(None))
        self._mesh.call(store, TOPOLOGY, self._membership.epoch, body, DOCUMENT_TIMEOUT_S, on_reply)

    def order(self, stores: Iterable[StoreNumber], mine: StoreNumber | None) -> list[StoreNumber]:
        """Return stores in the order to ask them: ours, then those that are up, quickest first."""

        def rank(store: StoreNumber) -> tuple[bool, bool, float]:
            down = not self._mesh.is_up(store)
            return store != mine, down, self._latency_s.get(store, 0.0)

        return sorted(stores, key=rank)

    def up(self) -> frozenset[StoreNumber]:
        """Return the peers with an open link."""
        return self._mesh.up()

    def late_after_s(self, store: StoreNumber) -> float:
        """Return after how many seconds an answer of a store to `get` is late: few are."""
        usual_s = self._latency_s.get(store)
        if usual_s is None:
            return LATE_MAX_S
        return min(LATE_MAX_S, max(LATE_MIN_S, LATE_FACTOR * usual_s))

    def note(self, store: StoreNumber, seconds: float) -> None:
        """Take into account how long a store took to answer, or has not answered for."""
        self._latency_s[store] = 0.8 * self._latency_s.get(store, seconds) + 0.2 * seconds
