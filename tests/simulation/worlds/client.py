"""A client of a world: it does its steps one after the other, at any node, and notes what came of them."""

import hashlib
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from simulation.clients import FIELDS, NAMESPACE
from simulation.cluster import CrashedError, Process, SimulatedCluster
from simulation.worlds.history import Event, Listing, WorldHistory
from simulation.worlds.world import Step
from spine_core.errors import ProblemError
from spine_core.records.consistency import ORDER, Model
from spine_core.records.filters import canonical, parse_filter
from spine_core.records.ids import operation_id
from spine_core.records.sessions import Session, merge
from spine_core.records.versions import ABSENT, Version, etag_of
from spine_node.ports import (
    Fence,
    ListOutcome,
    ListRequest,
    PreconditionFailedError,
    ReadRequest,
    WriteRequest,
)

ATTEMPTS_OF_A_LIST = 3
EVERYTHING = parse_filter({})


@dataclass(slots=True)
class Shared:
    """What the clients of a world have in common: their history, and a lease that grants fences."""

    history: WorldHistory = field(default_factory=WorldHistory)
    fence: int = 0
    clients: "list[WorldClient]" = field(default_factory=list)


class WorldClient:
    """An agent with one session."""

    def __init__(self, cluster: SimulatedCluster, shared: Shared, number: int) -> None:
        self._cluster, self._shared, self._number = cluster, shared, number
        self.session = Session()
        self.wrote: dict[str, Version] = {}  # key → newest acknowledged write of this session
        self._count = 0
        self._fence = 0
        self._strict = False
        self.working = True
        shared.clients.append(self)
        self._acts: dict[str, Callable[[Process, Step], Awaitable[None]]] = {
            "read": self._read_any,
            "count": self._count_up,
            "swap": self._swap,
            "fenced-put": self._put_fenced,
            "keyed": self._create_keyed,
            "list": self._list,
            "hand-over": self._hand_over,
        }

    async def run(self, steps: tuple[Step, ...], *, strict: bool = False) -> None:
        """Do all steps. `strict`: in a cluster where everything has to work."""
        self._strict, self.working = strict, True
        for step in steps:
            if not self.working:
                break
            await self._cluster.sleep(step.pause_s)
            process = self._node(step.dice[0])
            if process is not None:
                await self._acts.get(step.action, self._write_any)(process, step)

    def _node(self, dice: float) -> Process | None:
        running = [m.process for m in self._cluster.machines.values() if m.process is not None]
        return running[int(dice * len(running))] if running else None

    # ---- reads

    async def _read_any(self, process: Process, step: Step) -> None:
        await self.read(process, step, ORDER[int(step.dice[1] * len(ORDER))])

    async def read(self, process: Process, step: Step, model: Model) -> Event:
        """Read a key with the session."""
        event = self._event(process, step.key, "read")
        event.model, event.needed = model, self.wrote.get(step.key, ABSENT)
        request = ReadRequest(
            namespace=NAMESPACE, memory_id=step.key, session=self.session, model=model,
            deadline=event.began_s + step.timeout_s,
        )  # fmt: skip
        try:
            done = await process.ask(process.node.engine.read(request))
        except (ProblemError, CrashedError) as error:
            self._failed(event, error)
        else:
            self.session = merge((self.session, done.session))  # one may have come meanwhile
            event.saw(done.record)
        return self._ended(event)

    # ---- writes

    async def _write_any(self, process: Process, step: Step) -> None:
        memory: bytes | None = self._memory(step)
        changes: dict[str, Any] = {}
        match step.action:
            case "strong-put":
                changes = {"model": Model.STRONG}
            case "delete":
                memory = None
            case "strong-delete":
                memory, changes = None, {"model": Model.STRONG}
            case "create":
                changes = {"create_only": True}
            case "patch":
                patch = json.dumps({"metadata": {f"{self._number}-{self._count}": 1}})
                memory, changes = None, {"patch": patch.encode()}
            case "touch":
                memory, changes = None, {"touch": True}
            case "stamp":  # a condition that any live value meets
                changes = {"if_match": "*"}
        await self._write(process, step, memory, **changes)

    async def _count_up(self, process: Process, step: Step) -> None:
        """Add one's own name to a list, and begin again where somebody else was quicker."""
        model = Model.STRONG if step.dice[1] < 0.5 else ORDER[int(step.dice[2] * len(ORDER))]
        for _ in range(4):
            seen = await self.read(process, step, model)
            if seen.outcome != "ok":
                return
            names = [] if seen.body is None else json.loads(seen.body)["content"].split(",")
            self._count += 1
            names.append(f"{self._number}-{self._count}")
            memory = self._memory(step, content=",".join(names))
            if seen.body is None:
                done = await self._write(process, step, memory, create_only=True)
            else:
                done = await self._write(process, step, memory, expected=seen.version)
            if done.code != "precondition-failed":
                return
            model = Model.STRONG
            other = self._node(step.dice[3])
            if other is None:
                return
            process = other

    async def _swap(self, process: Process, step: Step) -> None:
        """Replace or delete what one has just read, if it is still there."""
        seen = await self.read(process, step, ORDER[int(step.dice[1] * len(ORDER))])
        if seen.outcome != "ok" or seen.body is None:
            return
        memory = None if step.dice[2] < 0.15 else self._memory(step)
        await self._write(process, step, memory, expected=seen.version)

    async def _put_fenced(self, process: Process, step: Step) -> None:
        if step.dice[1] < 0.3 or not self._fence:
            self._shared.fence += 1
            self._fence = self._shared.fence
        await self._write(process, step, self._memory(step), fence=self._fence)

    async def _create_keyed(self, process: Process, step: Step) -> None:
        """Create with an Idempotency-Key, up to four times, at any node."""
        event = self._event(process, "", "keyed")
        event.body = self._memory(step)
        name = f"{self._number}/{self._count}"
        self._count += 1
        event.op = operation_id(self._name, name)
        attempts = 1 + int(step.dice[1] * 4)
        outcomes = []
        for attempt in range(attempts):
            request = self._request(
                step, event.body, memory_id=None, idempotency_key=name, tags=("keyed",)
            )
            try:
                done = await process.ask(process.node.engine.write(request))
            except (ProblemError, CrashedError) as error:
                outcomes.append(self._failed(event, error))
            else:
                assert event.key in ("", done.memory_id), "one key made two memories"
                event.key, event.outcome = done.memory_id, "ok"
                event.version = done.record.version
                self._acknowledged(event.key, done.session, done.record.version)
                outcomes.append("ok")
            other = self._node((step.dice[2] + attempt * step.dice[3]) % 1)
            if other is None:
                break
            process = other
        event.outcome = min(outcomes, key=("ok", "info", "fail").index)
        if event.key:
            self._ended(event)

    async def _write(
        self,
        process: Process,
        step: Step,
        memory: bytes | None,
        *,
        expected: Version | None = None,
        fence: int = 0,
        **changes: object,
    ) -> Event:
        self._count += 1
        name = f"{self._number}/{self._count}"
        event = self._event(process, step.key, step.action)
        event.op, event.expected, event.fence = operation_id(self._name, name), expected, fence
        event.body = memory
        ttl_s = 3600 if step.key.startswith("patched") and memory is not None else None
        request = self._request(
            step, memory, memory_id=step.key, idempotency_key=name, ttl_seconds=ttl_s
        )
        if expected is not None:
            changes["if_match"] = etag_of(expected)
        if fence:
            changes["fence"] = Fence("lease", fence)
        request = msgspec.structs.replace(request, **changes)
        try:
            done = await process.ask(process.node.engine.write(request))
        except (ProblemError, CrashedError) as error:
            self._failed(event, error)
        else:
            event.version = done.record.version
            if not done.replayed:
                event.saw(done.record)
            self._acknowledged(step.key, done.session, done.record.version)
        return self._ended(event)

    def _request(self, step: Step, memory: bytes | None, **changes: object) -> WriteRequest:
        request = WriteRequest(
            namespace=NAMESPACE, memory_id=None, memory=memory, subject=self._name,
            session=self.session, deadline=self._cluster.now_s + step.timeout_s,
        )  # fmt: skip
        return msgspec.structs.replace(request, **changes)

    # ---- lists and sessions

    async def _list(self, process: Process, step: Step) -> None:
        model = ORDER[int(step.dice[1] * len(ORDER))]
        began_s, found, repeated, is_whole = self._cluster.now_s, dict[str, Version](), [], True
        token: str | None = None
        while True:
            page = await self._page(process, step, model, token)
            if page is None:
                return
            is_whole = is_whole and page.answered == page.slots
            repeated += [item.memory_id for item in page.items if item.memory_id in found]
            found |= {item.memory_id: item.record.version for item in page.items}
            self.session, token = merge((self.session, page.session)), page.next_page_token
            if token is None:
                break
        self._shared.history.listings.append(
            Listing(
                began_s=began_s,
                ended_s=self._cluster.now_s,
                model=model,
                found=found,
                is_whole=is_whole,
                repeated=repeated,
            )
        )

    async def _page(
        self, process: Process, step: Step, model: Model, token: str | None
    ) -> ListOutcome | None:
        for attempt in range(ATTEMPTS_OF_A_LIST):
            request = ListRequest(
                namespace=NAMESPACE, scope="exact", filter=EVERYTHING,
                filter_hash=hashlib.sha256(canonical(EVERYTHING)).digest(), order="id",
                page_size=(3, 10, 500)[int(step.dice[2] * 3)], page_token=token,
                session=self.session, deadline=self._cluster.now_s + step.timeout_s, model=model,
            )  # fmt: skip
            try:
                return await process.ask(process.node.engine.list(request))
            except (ProblemError, CrashedError) as error:
                if isinstance(error, ProblemError):
                    self._shared.history.codes[f"list {error.code}"] += 1
            other = self._node((step.dice[3] + attempt / 3) % 1)
            if other is None:
                return None
            process = other
        return None

    async def _hand_over(self, _process: Process, step: Step) -> None:
        """Give the own session to another client, which goes on with both."""
        other = self._shared.clients[int(step.dice[1] * len(self._shared.clients))]
        other.session = merge((other.session, self.session))
        for key, version in self.wrote.items():
            other.wrote[key] = max(other.wrote.get(key, ABSENT), version)

    # ---- notes

    @property
    def _name(self) -> str:
        return f"client-{self._number}"

    def _memory(self, step: Step, content: str | None = None) -> bytes:
        self._count += 1
        ttl_s = 3600 if step.key.startswith("patched") else None
        text = content if content is not None else f"{self._number}/{self._count}"
        return json.dumps(FIELDS | {"content": text, "ttl_seconds": ttl_s}).encode()

    def _event(self, process: Process, key: str, action: str) -> Event:
        ready = self._strict and process.node.operations.ready() is None
        return Event(
            client=self._number,
            seat=process.machine.seat,
            key=key,
            action=action,
            began_s=self._cluster.now_s,
            strict=ready,
        )

    def _failed(self, event: Event, error: ProblemError | CrashedError) -> str:
        if isinstance(error, CrashedError):
            event.outcome, event.code = "info", "crashed"
        else:
            event.outcome = "info" if error.outcome == "indeterminate" else "fail"
            event.code, event.detail = error.code, error.detail
            if isinstance(error, PreconditionFailedError):
                event.found = ABSENT if error.current is None else error.current.version
                event.found_op = 0 if error.current is None else error.current.op
        return event.outcome

    def _ended(self, event: Event) -> Event:
        event.ended_s = self._cluster.now_s
        self._shared.history.events.append(event)
        self._shared.history.codes[f"{event.action} {event.code or event.outcome}"] += 1
        return event

    def _acknowledged(self, key: str, session: Session, version: Version) -> None:
        self.session = merge((self.session, session))
        self.wrote[key] = max(self.wrote.get(key, ABSENT), version)
