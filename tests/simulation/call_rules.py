"""What becomes of single calls between simulated nodes, instead of being served.

A test names the method and who calls whom; nodes cannot tell it from a peer or a network that behaves
so. A rule also keeps the requests that it met.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from spine_core.replication.replica_status import ReplicaStatus
from spine_node.links.frames import EMPTY, Body, CallFrame

Serve = Callable[[], None]
Answer = Callable[[str, Body], None]


@dataclass(slots=True, kw_only=True, eq=False)
class CallRule:
    """One rule. It holds until `end`, or for as many calls as `times`."""

    method: str
    to: str | None = None  # address of the node that is called; None: of any
    by: str | None = None  # of the one that calls
    times: float = math.inf
    handle: Callable[[CallFrame, Serve, Answer], None]
    requests: list[CallFrame] = field(default_factory=list)

    def end(self) -> None:
        """Let all further calls pass."""
        self.times = 0


class CallRules:
    """The rules of a network; the oldest that fits a call decides about it."""

    def __init__(self, later: Callable[[float, Callable[[], None]], object]) -> None:
        self._later, self._rules = later, list[CallRule]()

    def refuse(
        self,
        method: str,
        *,
        to: str | None = None,
        by: str | None = None,
        times: float = math.inf,
        status: ReplicaStatus = ReplicaStatus.BUSY,
        body: Body = EMPTY,
    ) -> CallRule:
        """Answer with a status of the test's, at once and without asking the node."""

        def handle(_request: CallFrame, _serve: Serve, answer: Answer) -> None:
            answer(status, body)

        return self._add(CallRule(method=method, to=to, by=by, times=times, handle=handle))

    def lose(
        self,
        method: str,
        *,
        to: str | None = None,
        by: str | None = None,
        times: float = math.inf,
    ) -> CallRule:
        """Let calls never arrive."""

        def handle(_request: CallFrame, _serve: Serve, _answer: Answer) -> None:
            """Do nothing."""

        return self._add(CallRule(method=method, to=to, by=by, times=times, handle=handle))

    def delay(
        self, method: str, seconds: float, *, to: str | None = None, by: str | None = None
    ) -> CallRule:
        """Let calls arrive later."""

        def handle(_request: CallFrame, serve: Serve, _answer: Answer) -> None:
            self._later(seconds, serve)

        return self._add(CallRule(method=method, to=to, by=by, handle=handle))

    def watch(self, method: str, *, to: str | None = None, by: str | None = None) -> CallRule:
        """Only keep the requests."""

        def handle(_request: CallFrame, serve: Serve, _answer: Answer) -> None:
            serve()

        return self._add(CallRule(method=method, to=to, by=by, handle=handle))

    def end(self) -> None:
        """Let all calls pass."""
        self._rules.clear()

    def apply(
        self, source: str, target: str, request: CallFrame, serve: Serve, answer: Answer
    ) -> None:
        """Let a call that has arrived be served, unless a rule says otherwise."""
        for rule in self._rules:
            if (
                rule.times > 0
                and rule.method == request.header.method
                and rule.to in {None, target}
                and rule.by in {None, source}
            ):
                rule.times -= 1
                rule.requests.append(request)
                rule.handle(request, serve, answer)
                return
        serve()

    def _add(self, rule: CallRule) -> CallRule:
        self._rules.append(rule)
        return rule
