"""What can happen to a request, and which requests it happens to. Plain data; no I/O."""

from collections.abc import Callable
from dataclasses import dataclass, field

READS = frozenset({"get", "head", "options", "watch"})


@dataclass(frozen=True, slots=True)
class Request:
    """One request as the proxy counts it."""

    verb: str  # the method in lower case; `watch` for a GET that asks for a stream
    resource: str  # its plural, with `/status` and the like behind; empty where the path has none

    @property
    def writes(self) -> bool:
        """Whether it may change something."""
        return self.verb not in READS


def request_of(method: str, path: str, *, streams: bool) -> Request:
    """Read a method and a path such as `/apis/apps/v1/namespaces/agents/statefulsets/spine-a`."""
    root, *parts = path.strip("/").split("/")
    parts = parts[1 if root == "api" else 2 :]  # the version, the group and the version
    if parts[:1] == ["namespaces"] and len(parts) > 2:
        parts = parts[2:]
    verb = "watch" if streams else method.lower()
    return Request(verb, "/".join((*parts[:1], *parts[2:])))


@dataclass(frozen=True, slots=True, kw_only=True)
class Refuse:
    """The request is answered with a status and goes no further."""

    status: int
    retry_after_s: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """The connection ends without an answer, before the request is forwarded or after.

    `strike` is called at that moment: after forwarding means, what was asked for has been done.
    """

    forwarded: bool
    strike: Callable[[], None] = lambda: None


@dataclass(frozen=True, slots=True)
class Delay:
    """The request is forwarded late."""

    seconds: float


Fault = Refuse | Cut | Delay


@dataclass(slots=True, eq=False)  # a rule is itself: two alike are two
class Rule:
    """A fault for the requests that match: from the `first` one on (counted from 1), `times` of them."""

    matches: Callable[[Request], bool]
    fault: Fault
    first: int = 1
    times: int | None = None  # None: all from there on
    seen: int = field(default=0, init=False)  # requests that matched
    hits: int = field(default=0, init=False)  # of these, what the fault happened to

    def strikes(self, request: Request) -> bool:
        """Count a request, and tell whether the fault happens to it."""
        if not self.matches(request):
            return False
        self.seen += 1
        hit = self.seen >= self.first and (self.times is None or self.hits < self.times)
        self.hits += hit
        return hit
