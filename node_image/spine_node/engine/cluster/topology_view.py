"""What this node knows of the cluster: the topology document, its placement, and our part in it.

Invariant: the document in force is the one the store persisted; adopting goes through the store's
writer queue and shows here only after it is durable (protocol.md R2).
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import msgspec

from spine_core.errors import InvalidInputError, ProblemError, SpineError
from spine_core.scalars import StoreNumber
from spine_core.topology.document import Document
from spine_core.topology.placement import Placement
from spine_node.store import Store
from spine_node.store.operations import Adopt

logger = logging.getLogger("spine.engine")


class MemberStatus(StrEnum):
    """Our part in the document."""

    UNJOINED = "unjoined"  # no document names this store yet
    MEMBER = "member"
    RETIRED = "retired"  # named once, and never again


@dataclass(frozen=True, slots=True, kw_only=True)
class TopologyView:
    """One document and what follows from it; replaced as a whole when the next one is adopted."""

    document: Document
    placement: Placement
    digest: str

    @property
    def epoch(self) -> int:
        """The epoch in force."""
        return self.document.epoch

    @property
    def number(self) -> StoreNumber | None:
        """The number of our own store; None here, where the document does not name it."""
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberView(TopologyView):
    """A document that names this store: only with it does a node serve data (R9)."""

    number: StoreNumber  # of our own store


class Membership:
    """Holds the view in force. `on_adopted` runs on the loop after each adoption."""

    def __init__(
        self, store: Store, on_adopted: Callable[[TopologyView], None] = lambda _: None
    ) -> None:
        self._store, self._on_adopted = store, on_adopted
        self.view: TopologyView | None = None
        self._adopting: dict[bytes, asyncio.Task[TopologyView]] = {}  # document → its adoption
        self._offers: set[asyncio.Task[None]] = set()
        if store.document is not None:
            self.view = self._view_of(self._parse(store.document))

    @property
    def status(self) -> MemberStatus:
        """Our part in the document in force."""
        if self.view is None:
            return MemberStatus.UNJOINED
        if self.member is not None:
            return MemberStatus.MEMBER
        retired = self._store.identity.store_id in self.view.document.retired.values()
        return MemberStatus.RETIRED if retired else MemberStatus.UNJOINED

    @property
    def cluster_id(self) -> str | None:
        """The cluster this store belongs to for good, None before its first document."""
        return self.view.document.cluster_id if self.view else self._store.identity.cluster_id

    @property
    def epoch(self) -> int:
        """The epoch in force, 0 before the first document."""
        return self.view.epoch if self.view else 0

    @property
    def member(self) -> MemberView | None:
        """The view in force where it names this store, else None."""
        return self.view if isinstance(self.view, MemberView) else None

    def member_view(self) -> MemberView:
        """Return the view in force, which names this store.

        Raises:
            ProblemError: `not-ready`, this node serves no data (R9).
        """
        view = self.view
        if isinstance(view, MemberView):
            return view
        raise ProblemError("not-ready", f"this node is {self.status}: no topology names it")

    async def adopt(self, raw: bytes) -> TopologyView:
        """Adopt a document durably, or keep the same one.

        Each of the writes under way may bring it, and reading it takes many ms: it is read once.

        Raises:
            ProblemError: `stale-epoch` (older than ours), `epoch-conflict` (ours has another
                digest), `misdirected` (another cluster, or a first document that does not name us),
                `validation-failed`.
        """
        if self.view is not None and (self.epoch, raw) == (self._store.epoch, self._store.document):
            return self.view
        # Whoever brought it may go away: what is durable must be shown all the same.
        return await asyncio.shield(self._adopting.get(raw) or self._begin(raw))

    def _begin(self, raw: bytes) -> "asyncio.Task[TopologyView]":
        adopting = self._adopting[raw] = asyncio.create_task(self._adopt(raw))
        adopting.add_done_callback(lambda _: self._adopting.pop(raw))
        return adopting

    async def _adopt(self, raw: bytes) -> TopologyView:
        view = self._view_of(self._parse(raw))
        self._check(view)
        owned = view.placement.slots_of(view.number) if view.number else frozenset[int]()
        document = view.document
        number = view.number or self._store.identity.number
        answer = await self._store.submit(
            Adopt(document.canonical(), document.epoch, number, document.cluster_id, owned)
        )
        if answer == "conflict":
            raise ProblemError("epoch-conflict", f"another document of epoch {view.epoch} is here")
        if answer == "older":
            raise ProblemError("stale-epoch", f"epoch {view.epoch} is older than {self.epoch}")
        if self.view is None or self.view.epoch < view.epoch:
            await self._show(view)
        return view

    def offer(self, raw: bytes | None) -> None:
        """Adopt a document that a peer sent along with a refusal, when it is newer; do not wait."""
        if isinstance(raw, bytes) and raw != self._store.document:
            offer = asyncio.create_task(self._adopt_offered(raw))
            self._offers.add(offer)
            offer.add_done_callback(self._offers.discard)

    async def _adopt_offered(self, raw: bytes) -> None:
        if raw in self._adopting:
            return
        try:
            if self._parse(raw).epoch > self.epoch:
                await self.adopt(raw)
        except SpineError as error:
            logger.warning("document_refused", extra={"why": str(error)})

    async def _show(self, view: TopologyView) -> None:
        before, self.view = self.view, view
        logger.info(
            "epoch_adopted",
            extra={"epoch": view.epoch, "phase": view.document.phase, "number": view.number},
        )
        self._on_adopted(view)
        if not isinstance(view, MemberView) and before is not None and _only_joining(before):
            await self._drop_everything(view)

    async def _drop_everything(self, view: TopologyView) -> None:
        """R7: a joiner that the document no longer names keeps nothing of what it pulled.

        A store that was a member keeps its records until its disk goes: that is the operator's act.
        """
        await self._store.drop(range(view.document.slots), view.epoch)

    def _check(self, view: TopologyView) -> None:
        known = self.cluster_id
        if known is not None and known != view.document.cluster_id:
            raise ProblemError("misdirected", f"this store belongs to cluster {known}")
        if self.view is None and view.number is None:
            raise ProblemError("misdirected", "this document does not name this store")

    def _view_of(self, document: Document) -> TopologyView:
        mine = self._store.identity.store_id
        number = next(
            (n for n in document.members() if document.stores[n].id == mine),
            None,
        )
        placement, digest = Placement(document), document.digest()
        if number is None:
            return TopologyView(document=document, placement=placement, digest=digest)
        return MemberView(document=document, placement=placement, digest=digest, number=number)

    @staticmethod
    def _parse(raw: bytes) -> Document:
        try:
            return Document.from_json(msgspec.json.decode(raw))
        except (msgspec.DecodeError, InvalidInputError, RecursionError) as error:
            raise ProblemError("validation-failed", f"topology document: {error}") from error


def _only_joining(view: TopologyView) -> bool:
    current = view.document.current.values()
    return isinstance(view, MemberView) and view.number not in current
