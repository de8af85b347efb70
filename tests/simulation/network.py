"""Links between machines in one process: seeded delays, losses, repetitions, one-way cuts.

`VirtualLink` is the dialling half without a socket; what it sends is served by the same `Calls` that
serve a socket. Messages overtake each other, which those of a socket cannot: the stronger adversary.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from contextvars import Context
from dataclasses import dataclass
from random import Random
from typing import Protocol

from simulation.call_rules import CallRules
from spine_core.replication.replica_status import ReplicaStatus
from spine_core.topology.document import StoreInfo
from spine_node.clock import Clock
from spine_node.links.frames import EMPTY, Body, CallFrame, CallHeader, CallReply, ReplyFrame
from spine_node.links.hello import LinkIdentity, check_greeting
from spine_node.links.mesh import Mesh, MeshSettings
from spine_node.links.peer import Dial, OnReply, PeerLink
from spine_node.links.server import Calls, LinkServer

LINK_POLL_S = 0.25  # how soon a link is dialled again, and a dead process noticed
SILENCE_S = 7.5  # how soon a cut is: the heartbeat of a real link


class LinkEnd(Protocol):
    """One life of a node: what the network needs of it."""

    @property
    def url(self) -> str: ...

    @property
    def alive(self) -> bool: ...

    @property
    def context(self) -> Context: ...

    @property
    def links(self) -> LinkServer: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Weather:
    """How messages fare: shares of all, and seconds."""

    delay_s: float = 0.002
    slow_share: float = 0.02
    slow_s: float = 0.3
    held_share: float = 0.002  # long enough to be too late
    held_s: float = 7.0
    loss_share: float = 0.002
    repeat_share: float = 0.01


ROUGH = Weather()
CALM = Weather(loss_share=0.0, held_share=0.0)


class Network:
    """All machines, by address, and what lies between them."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self.weather = ROUGH
        self.processes: dict[str, LinkEnd] = {}
        self.cuts: set[tuple[str, str]] = set()  # (from, to): nothing passes
        self.calls: Counter[str] = Counter()  # by method, and their answers by status
        self.rules = CallRules(asyncio.get_running_loop().call_later)

    def mesh_of(self, source: LinkEnd, settings: MeshSettings, clock: Clock) -> Mesh:
        """Return the links of a process."""
        return VirtualMesh(self, source, settings, clock)

    def is_open(self, one: LinkEnd, other: LinkEnd) -> bool:
        """Whether messages pass both ways."""
        return not {(one.url, other.url), (other.url, one.url)} & self.cuts

    def send(self, source: LinkEnd, target: LinkEnd, deliver: Callable[[], None]) -> None:
        """Let a message travel. It may be lost, come late, come twice."""
        for _ in range(2 if self._random.random() < self.weather.repeat_share else 1):
            if (source.url, target.url) in self.cuts or self._hits(self.weather.loss_share):
                continue
            loop = asyncio.get_running_loop()
            loop.call_later(
                self._travel_s(), self._arrive, source, target, deliver, context=target.context
            )

    def _arrive(self, source: LinkEnd, target: LinkEnd, deliver: Callable[[], None]) -> None:
        if target.alive and (source.url, target.url) not in self.cuts:
            deliver()

    def _travel_s(self) -> float:
        weather = self.weather
        if self._hits(weather.held_share):
            return self._random.uniform(0.5, 1.0) * weather.held_s
        mean_s = weather.slow_s if self._hits(weather.slow_share) else weather.delay_s
        return self._random.expovariate(1 / mean_s)

    def _hits(self, share: float) -> bool:
        return self._random.random() < share


class VirtualMesh(Mesh):
    """A mesh whose links run over the network of the simulation."""

    def __init__(
        self, network: Network, source: LinkEnd, settings: MeshSettings, clock: Clock
    ) -> None:
        super().__init__(settings, clock)
        self._network, self._source = network, source

    def _dial(self, info: StoreInfo) -> PeerLink:
        return VirtualLink(self._network, self._source, info, self._settings, self._clock)


class VirtualLink(PeerLink):
    """The link from one process to whatever runs at an address."""

    def __init__(
        self,
        network: Network,
        source: LinkEnd,
        info: StoreInfo,
        settings: MeshSettings,
        clock: Clock,
    ) -> None:
        me = LinkIdentity(
            cluster_id=settings.me.cluster_id,
            store_id=settings.me.store_id,
            boot=settings.me.boot,
            epoch=settings.me.epoch,
            expects=info.id,
        )
        dial = Dial(url=info.url, token="", tls=None)
        super().__init__(dial, me, clock, settings.hlc, settings.observe)
        self._network, self._source = network, source
        self._target: LinkEnd | None = None
        self._serving: Calls | None = None

    @property
    def up(self) -> bool:
        return self._serving is not None

    async def run(self) -> None:
        try:
            while True:
                await self._clock.sleep(self._clock.jittered(LINK_POLL_S))
                target = self._network.processes.get(self._dial.url)
                if (
                    target is None
                    or not target.alive
                    or not self._network.is_open(self._source, target)
                ):
                    continue
                self.refusal = self._greet_there(target)
                if self.refusal is None:
                    self._target, self._serving = target, Calls(target.links.service, self._return)
                    await self._until_broken(target)
                    self._hang_up()
        finally:
            self._hang_up()

    def call(self, method: str, epoch: int, body: Body, left_ms: int, on_reply: OnReply) -> None:
        if self._target is None or self._serving is None:
            on_reply(ReplicaStatus.UNREACHABLE, EMPTY)
            return
        self._calls += 1
        self._network.calls[method] += 1
        self._pending[self._calls] = on_reply
        frame = CallFrame(CallHeader(method, epoch, self._hlc(), left_ms), self._calls, [body])
        source, target, serving = self._source, self._target, self._serving

        def answer(status: str, body: Body) -> None:
            self._return(CallReply(frame.first, status, body))

        def serve() -> None:
            if target.alive:  # a rule may have held the call for longer than the node lived
                serving.start(frame)

        def arrive() -> None:
            self._network.rules.apply(source.url, target.url, frame, serve, answer)

        self._network.send(source, target, arrive)

    def _return(self, reply: CallReply) -> None:
        target = self._target
        if target is not None:
            self._network.calls[reply.status] += 1
            frame = ReplyFrame(target.links.service.hlc(), [reply])
            self._network.send(target, self._source, lambda: self._answered(frame))

    def _greet_there(self, target: LinkEnd) -> str | None:
        there = target.links.service.me
        return check_greeting(there, self._me.greeting()) or check_greeting(
            self._me, there.greeting()
        )

    async def _until_broken(self, target: LinkEnd) -> None:
        cut_s = 0.0
        while target.alive and cut_s < SILENCE_S:
            await self._clock.sleep(LINK_POLL_S)
            cut_s = 0.0 if self._network.is_open(self._source, target) else cut_s + LINK_POLL_S

    def _hang_up(self) -> None:
        self._target = self._serving = None
        self._end()
