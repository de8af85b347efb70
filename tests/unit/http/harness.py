"""What the tests of the HTTP API share: an app on doubles, and requests without a socket."""

import asyncio
import contextlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import yaml
from multidict import CIMultiDict

from spine_core.api_keys import Scope, new_key
from spine_core.records.tokens import derive_key
from spine_node.http.app import App
from spine_node.http.audit import AuditLog
from spine_node.http.auth import Credentials
from spine_node.http.connection_limit import ConnectionLimit
from spine_node.http.event_buffer import WatchTimes
from spine_node.http.messages import Request, Response, whole
from spine_node.http.request_context import AppContext
from spine_node.http.router import Route, Router
from spine_node.http.routes import routes
from spine_node.http.watch_limit import WatchLimit
from unit.http.memory_engine import MemoryEngine, MemoryOperations, StillClock

DEADLINE_S = 10
SESSION_KEY = derive_key(b"a secret of at least thirty-two bytes", "session")
ADMIN_TOKEN = "the admin credential"
MEMORIES = "/v1/ns/acme.support/memories"
ROUTES = routes("0.1.0")


@dataclass
class Answer:
    """A response with its JSON decoded."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str | None:
        found: str | None = self.json.get("code")
        return found


@dataclass
class HttpHarness:
    """One app on doubles, and a way to ask it."""

    keys: Path | None = None
    local_only: bool = False
    watch_times: WatchTimes = field(default_factory=WatchTimes)
    clock: StillClock = field(default_factory=StillClock)
    operations: MemoryOperations = field(default_factory=MemoryOperations)
    more_routes: tuple[Route, ...] = ()
    connections_max: int = 1000
    closed: list[str] = field(default_factory=list)  # why connections were closed
    measured: list[tuple[str, float]] = field(default_factory=list)  # operation, seconds
    audited: list[str] = field(default_factory=list)  # lines of the audit
    refusals: list[None] = field(default_factory=list)  # one for each changed file that was broken

    def __post_init__(self) -> None:
        self.engine = MemoryEngine(self.clock)
        self.limit = ConnectionLimit(self.connections_max, self.clock.now, self.closed.append)
        self.limit_of_watches = WatchLimit()
        self.credentials = Credentials(self.keys, on_refusal=lambda: self.refusals.append(None))
        context = AppContext(
            engine=self.engine,
            operations=self.operations,
            credentials=self.credentials,
            admin_tokens=lambda: (ADMIN_TOKEN,),
            session_keys=lambda: (SESSION_KEY,),
            clock=self.clock,
            epoch=lambda: 7,
            measure=lambda route, seconds: self.measured.append((route, seconds)),
            node="spine-1",
            audit=AuditLog("spine-1", self.audited.append, self.clock.physical_ms),
            shortage=self.limit.shortage,
            local_only=self.local_only,
            watch_times=self.watch_times,
            watches=self.limit_of_watches,
        )
        self.app = App(context, Router((*ROUTES, *self.more_routes)))

    async def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: dict[str, str] | list[tuple[str, str]] | None = None,
        key: str | None = None,
    ) -> Answer:
        """Send one request; `body` is JSON, or bytes as they are."""
        sent = CIMultiDict(headers or {})
        if body is not None:
            sent.setdefault("Content-Type", "application/json")
        if key is not None:
            sent["Authorization"] = f"Bearer {key}"
        data = (
            body if isinstance(body, bytes) else b"" if body is None else msgspec.json.encode(body)
        )
        path, _, query = path.partition("?")
        response: Response = await self.app.handle(
            Request(
                method=method,
                path=path,
                query=query,
                headers=sent,
                body=whole(data),
                remote="192.0.2.1",
            )
        )
        if not isinstance(response.body, bytes):
            await response.body.aclose()
            return Answer(response.status, response.headers, b"")
        return Answer(response.status, response.headers, response.body)


@dataclass
class Keyring:
    """A `keys.yaml` under construction."""

    file: Path
    entries: list[dict[str, Any]] = field(default_factory=list)

    def add(
        self,
        scopes: list[Scope],
        namespaces: list[str],
        *,
        subject: str = "support-bot",
        not_after: datetime | None = None,
        rate: dict[str, float] | None = None,
    ) -> str:
        """Add a key and write the file; return the key's text."""
        plain = [str(scope) for scope in scopes]
        text, entry = new_key(os.urandom, subject=subject, scopes=plain, namespaces=namespaces)
        limits = {"not_after": not_after} | ({"rate": rate} if rate else {})
        self.entries.append(entry | limits)
        self.file.write_text(yaml.safe_dump({"keys": self.entries}))
        return text


def day(year: int) -> datetime:
    """Return New Year's Day."""
    return datetime(year, 1, 1, tzinfo=UTC)


async def until(holds: Callable[[], bool]) -> None:
    """Wait until it holds, looking again whenever the loop has worked for a moment."""
    async with asyncio.timeout(DEADLINE_S):
        while not holds():
            await a_moment()


async def a_moment() -> None:
    """Let the loop work for some milliseconds."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(asyncio.Event().wait(), 0.005)
