"""The path table: which handler a method and a path mean, and what the caller needs for it.

A path is split at `/` first and decoded after, so `%2F` never makes a segment. A segment of a
template is a word, `{name}`, or `{name}:verb`; a word goes before a name.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal
from urllib.parse import unquote

from spine_core.api_keys import Scope
from spine_core.errors import ProblemError
from spine_node.http.messages import Response
from spine_node.http.parameters import Parameter
from spine_node.http.problems import MethodNotAllowedError
from spine_node.http.request_context import RequestContext

Handler = Callable[[RequestContext], Awaitable[Response]]


@dataclass(frozen=True, kw_only=True)
class Route:
    """One operation of the API: how it is found, who may use it, how it is documented."""

    method: str
    path: str  # template, as in OpenAPI
    name: str  # operation id
    handler: Handler
    access: Literal["open", "key", "admin"] = "key"
    scope: Scope | None = None
    reserved: bool = False  # promised, answers `not-implemented`
    streams: bool = False  # a good answer's body is an async iterator, not bytes
    writes: bool = False  # failures carry `outcome`
    tag: str = ""
    summary: str = ""
    parameters: tuple[Parameter, ...] = ()
    body: Any = None  # type of the JSON body
    media_type: str = "application/json"  # of the body
    answers: Mapping[int, str] = field(default_factory=dict)  # status → response in `openapi`

    @cached_property
    def query_names(self) -> frozenset[str]:
        """The query parameters that it knows."""
        return frozenset(known.name for known in self.parameters if known.place == "query")


class _Branch:
    """A node of the path tree: what may follow a prefix."""

    __slots__ = ("name", "named", "routes", "verbs", "words")

    def __init__(self) -> None:
        self.words: dict[str, _Branch] = {}
        self.verbs: dict[str, _Branch] = {}  # verb → what follows {name}:verb
        self.named: _Branch | None = None
        self.name = ""
        self.routes: dict[str, Route] = {}

    def grow(self, segment: str) -> "_Branch":
        """Return the branch of one segment of a template."""
        if not segment.startswith("{"):
            return self.words.setdefault(segment, _Branch())
        self.name, _, verb = segment[1:].partition("}")
        if verb:
            return self.verbs.setdefault(verb, _Branch())
        self.named = self.named or _Branch()
        return self.named

    def follow(self, segment: str, method: str, found: dict[str, str]) -> "_Branch | None":
        """Return the branch of a segment that is no word here, and note what its name stands for."""
        if self.verbs and ":" in segment:
            value, _, verb = segment.rpartition(":")
            acting = self.verbs.get(":" + verb)
            # a name may end in a verb: what only the named branch can do goes there
            as_name = self.named is not None and method in self.named.routes
            if acting is not None and (method in acting.routes or not as_name):
                found[self.name] = value
                return acting
        if self.named is not None:
            found[self.name] = segment
        return self.named


_NOWHERE = _Branch()


class Router:
    """The routes of one node."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._root = _Branch()
        for route in routes:
            branch = self._root
            for segment in route.path.split("/")[1:]:
                branch = branch.grow(segment)
            assert route.method not in branch.routes, f"two routes for {route.method} {route.path}"
            branch.routes[route.method] = route

    def match(self, method: str, path: str) -> tuple[Route, dict[str, str]]:
        """Return the route and the decoded parameters of a raw path.

        Raises:
            ProblemError: `not-found`, `method-not-allowed`, `invalid-request` (bad encoding).
        """
        found: dict[str, str] = {}
        branch = self._root
        method = "GET" if method == "HEAD" else method  # the carrier leaves the body out
        for segment in path.split("/")[1:]:
            text = _decode(segment) if "%" in segment else segment
            branch = branch.words.get(text) or branch.follow(text, method, found) or _NOWHERE
        if not branch.routes:
            raise ProblemError("not-found", "there is no such path")
        route = branch.routes.get(method)
        if route is None:
            raise MethodNotAllowedError(
                known.method for known in branch.routes.values() if not known.reserved
            )
        return route, found


def _decode(segment: str) -> str:
    try:
        return unquote(segment, errors="strict")
    except UnicodeDecodeError as error:
        raise ProblemError("invalid-request", "the path is not UTF-8") from error
