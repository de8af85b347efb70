"""All links of this node: one to every store that the topology document names, and no other."""

import asyncio
import dataclasses
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from spine_core.replication.replica_status import ReplicaStatus
from spine_core.scalars import Hlc, StoreNumber
from spine_core.topology.document import StoreInfo
from spine_node.clock import Clock
from spine_node.links.frames import Body
from spine_node.links.hello import LinkIdentity
from spine_node.links.methods import Method, ReplyT, RequestT
from spine_node.links.peer import Dial, OnReply, PeerLink


class CallError(Exception):
    """A call that was not answered with `ok`: the `ReplicaStatus`, and the body that came with it."""

    def __init__(self, store: StoreNumber, status: str, body: Body) -> None:
        self.store, self.status, self.body = store, status, body
        super().__init__(f"store {store}: {status}")


@dataclass(frozen=True, slots=True, kw_only=True)
class MeshSettings:
    """What all links of a node share."""

    me: LinkIdentity
    token: Callable[[], str]
    tls: Callable[[], ssl.SSLContext | None]
    hlc: Callable[[], Hlc]
    observe: Callable[[Hlc], None]  # raises ClockSkewError


class Mesh:
    """Store number → link. `follow` makes the links those of a document; `close` ends them."""

    def __init__(self, settings: MeshSettings, clock: Clock) -> None:
        self._settings, self._clock = settings, clock
        self._links: dict[StoreNumber, tuple[StoreInfo, PeerLink, asyncio.Task[None]]] = {}

    def follow(self, stores: Mapping[StoreNumber, StoreInfo], own_id: str) -> None:
        """Dial the stores given, ours excepted, and drop links to all others."""
        wanted = {n: info for n, info in stores.items() if info.id != own_id}
        for gone in [n for n, (info, _, _) in self._links.items() if wanted.get(n) != info]:
            self._links.pop(gone)[2].cancel()
        for number, info in wanted.items():
            if number not in self._links:
                link = self._dial(info)
                self._links[number] = (info, link, asyncio.create_task(link.run()))

    def _dial(self, info: StoreInfo) -> PeerLink:
        s = self._settings
        tls = s.tls()
        url = f"{'https' if tls else 'http'}://{info.url}"  # the document says host:port
        dial = Dial(url=url, token=s.token(), tls=tls)
        me = dataclasses.replace(s.me, expects=info.id)
        return PeerLink(dial, me, self._clock, s.hlc, s.observe)

    def up(self) -> frozenset[StoreNumber]:
        """Return the stores whose link is greeted and open at this moment."""
        return frozenset(n for n, (_, link, _) in self._links.items() if link.up)

    def is_up(self, store: StoreNumber) -> bool:
        """Return whether one store is among them."""
        entry = self._links.get(store)
        return entry is not None and entry[1].up

    def call(
        self, store: StoreNumber, method: Method[Any, Any], epoch: int, body: Body, left_s: float,
        on_reply: OnReply,
    ) -> None:  # fmt: skip
        """Send a packed request; `on_reply(status, body)` runs once, at the latest when the link breaks."""
        entry = self._links.get(store)
        if entry is None:
            on_reply(ReplicaStatus.UNREACHABLE, body)
            return
        entry[1].call(method.name, epoch, body, max(0, round(left_s * 1000)), on_reply)

    async def ask(
        self,
        store: StoreNumber,
        method: Method[RequestT, ReplyT],
        epoch: int,
        request: RequestT,
        left_s: float,
    ) -> ReplyT:
        """Call one store and wait for its `ok`.

        Raises:
            CallError: another answer, none within `left_s` seconds (status `lost`), or an `ok`
                that is not laid out as the method states (`error`).
        """
        answer: asyncio.Future[tuple[str, Body]] = asyncio.get_running_loop().create_future()

        def on_reply(status: str, reply: Body) -> None:
            if not answer.done():
                answer.set_result((status, reply))

        packed = method.pack(request)
        self.call(store, method, epoch, packed, left_s, on_reply)
        try:
            async with asyncio.timeout(left_s):
                status, reply = await answer
        except TimeoutError:
            raise CallError(store, ReplicaStatus.LOST, packed) from None
        if status != ReplicaStatus.OK:
            raise CallError(store, status, reply)
        try:
            return method.reply_in(reply)
        except msgspec.DecodeError:
            raise CallError(store, ReplicaStatus.ERROR, reply) from None

    async def close(self) -> None:
        """End all links."""
        tasks = [task for _, _, task in self._links.values()]
        self._links.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
