"""One admitted request on its way to a handler, and what every handler may use."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import msgspec

from spine_node.clock import Clock
from spine_node.http.audit import AuditLog
from spine_node.http.auth import Credentials
from spine_node.http.event_buffer import WatchTimes
from spine_node.http.identity import Principal
from spine_node.http.messages import Request
from spine_node.http.watch_limit import WatchLimit
from spine_node.in_flight import InFlight
from spine_node.ports import Engine, Operations


@dataclass(frozen=True, slots=True, kw_only=True)
class AppContext:
    """What the HTTP handlers of one node use: engine, credentials, clock."""

    engine: Engine
    operations: Operations
    credentials: Credentials
    admin_tokens: Callable[[], tuple[str, ...]]  # either is good; empty closes the admin plane
    session_keys: Callable[[], tuple[bytes, ...]]  # derived; the first signs, all are accepted
    clock: Clock
    epoch: Callable[[], int]
    measure: Callable[[str, float], None]  # operation id, seconds that it took to answer
    node: str  # seat
    audit: AuditLog
    shortage: Callable[[], str | None]  # what the probes say about a lack of connections
    in_flight: InFlight = field(default_factory=InFlight)  # requests to the data plane
    watches: WatchLimit = field(default_factory=WatchLimit)
    watch_times: WatchTimes = field(default_factory=WatchTimes)
    local_only: bool = False  # no keys: look at Host and Origin (`origin_guard`)


class RequestContext(msgspec.Struct, frozen=True, kw_only=True):
    """A request that has a route, a caller who may take it, and a deadline."""

    app: AppContext
    request: Request
    request_id: str
    action: str  # operation id of the route
    principal: Principal
    path: Mapping[str, str]  # parameters, decoded and checked
    query: Mapping[str, str]
    deadline: float  # of the loop's clock

    @property
    def namespace(self) -> str:
        """The namespace in the path."""
        return self.path["ns"]
