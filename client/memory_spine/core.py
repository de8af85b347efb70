"""One call of the server: attempts, sessions, retries and errors, without any I/O.

Rules
- Every write carries an idempotency key, the same in all its attempts, so every call may be retried.
- Once one attempt of a write may have been applied, a later clean refusal does not unsay it:
  `may_have_been_applied` stays true.
- The time of a call is the time of all its attempts together. An attempt has an even share of what is
  left for its answer to *begin*, so that a node which is gone leaves time for another; an answer that
  has begun may take all of it, because fetching a slow answer again makes it slower still. The node is
  told to answer a tenth earlier than we stop listening, so that its verdict arrives.
- An answer to another request, or about another memory, is a failure: a connection that somebody else
  uses as well must not make one memory look like another.

Source: api.md §3.2 and §6.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

import msgspec

from memory_spine import arguments
from memory_spine.arguments import Identifier
from memory_spine.config import Options
from memory_spine.effects import (
    REQUEST_ID,
    REQUEST_ID_BYTES,
    Answer,
    Open,
    Operation,
    Outcome,
    Request,
    Sleep,
    Stream,
)
from memory_spine.environment import Environment
from memory_spine.errors import (
    ConfigError,
    Conflict,
    ConnectionFailed,
    SpineError,
    UnexpectedAnswer,
    error_of,
)
from memory_spine.keys import ENTROPY_BYTES, ulid
from memory_spine.models import Memory, MergedToken, decode
from memory_spine.retry import Endpoints, RetryBudget, backoff_s
from memory_spine.session import TOKENS_MAX, Session
from memory_spine.stats import LastAnswer, Meter

Decoded = TypeVar("Decoded")

LET_OTHERS_LEARN = Sleep(0.0)
_PLAIN = re.compile(r"[A-Za-z0-9_~:@-][A-Za-z0-9_.~:@-]*")  # a path segment as it stands
_ATTEMPT_MIN_S = 0.01  # a sleep may have overslept the deadline
_TOLD_SHARE = 0.9  # of an attempt's time, for the node; the rest is for the way back
_TOLD_MS_MIN, _TOLD_MS_MAX = 10, 30_000  # what the server accepts as Spine-Timeout-Ms


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One request of the API, before it is known which node gets it."""

    method: str
    path: str  # escaped
    query: Mapping[str, str] = msgspec.field(default_factory=dict)
    body: bytes | None = None
    headers: Mapping[str, str] = msgspec.field(default_factory=dict)  # win over those of every call
    write: bool = False
    key: Identifier | None = None  # idempotency key of the caller's; None: a fresh one for a write
    memory_id: str | None = None  # the memory that the answer must be about
    stream: bool = False  # its answer comes in parts
    silence_s: float | None = None  # of a stream: without anything it is broken
    wait_s: float = 0.0  # for which the server may let it wait, beyond the time of a call


class CallState(msgspec.Struct, frozen=True):
    """What all attempts of one call share."""

    call: Call
    session: Session
    sent: tuple[str, ...]  # the tokens in `headers`
    headers: dict[str, str]
    deadline_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Core:
    """What one view of a client knows. `ns` and `with_options` share all but what they change."""

    options: Options
    endpoints: Endpoints
    session: Session = field(default_factory=Session)
    budget: RetryBudget = field(default_factory=RetryBudget)
    meter: Meter = field(default_factory=Meter)
    last_answer: LastAnswer = field(default_factory=LastAnswer)
    environment: Environment = field(default_factory=Environment)

    def within(self, seconds: float) -> "Core":
        """Return the same core for calls that may take so long, which is part of a longer time."""
        timeout = max(seconds, _ATTEMPT_MIN_S)
        return replace(self, options=replace(self.options, timeout=timeout))

    def fetch(self, call: Call, model: type[Decoded]) -> Operation[Decoded]:
        """Make the call and decode its answer."""
        answer = yield from self.call(call)
        return self._decoded(answer, call, model)

    def call(self, call: Call) -> Operation[Answer]:
        """Make the call; return its answer of status 2xx.

        Raises:
            SpineError: the last failure, when trying again is pointless or not allowed any more.
        """
        outcome = yield from self._call(call)
        assert isinstance(outcome, Answer), "only a stream is opened"
        return outcome

    def open(self, call: Call) -> Operation[Stream[Any]]:
        """Make the call; return its answer as a stream, for the driver's loop to read.

        Raises:
            SpineError: as `call`.
        """
        outcome = yield from self._call(msgspec.structs.replace(call, stream=True))
        assert isinstance(outcome, Stream), "a success comes as a stream"
        return outcome

    def _call(self, call: Call) -> Operation[Outcome]:
        session = self.session.active()
        deadline_s = self.environment.monotonic_s() + self.options.timeout + call.wait_s
        while len(session.tokens) > TOKENS_MAX:
            yield from self._merge_first(session, deadline_s)
        state = self._call_state(call, session, session.tokens, deadline_s)
        outcome = yield from self._attempts(state)
        if isinstance(outcome, Answer) and outcome.with_others and session.tokens != state.sent:
            yield LET_OTHERS_LEARN
        if len(session.tokens) > TOKENS_MAX:
            yield from self._merge_after(session, deadline_s)
        return outcome

    def _merge_first(self, session: Session, deadline_s: float) -> Operation[None]:
        merged = session.merged  # before the claim: a merge that ends meanwhile is not missed
        if tokens := session.claim_merge():
            yield from self._merge(session, tokens, deadline_s)
        elif not session.merging:
            return  # another thread has learned meanwhile, and tokens are few
        elif (left_s := deadline_s - self.environment.monotonic_s()) > 0:
            yield Sleep(left_s, until=merged)
        else:
            reason = "the tokens of the session were not merged in time"
            raise ConnectionFailed(str(self.endpoints), reason, sent=False)

    def _merge_after(self, session: Session, deadline_s: float) -> Operation[None]:
        """Merge what parallel calls have learned, so that the session's token stays short.

        A failure is left to the next call: this one has its answer. Whoever merges looks again after
        giving up the claim, so no token is left to nobody.
        """
        while len(session.tokens) > TOKENS_MAX:
            if not (tokens := session.claim_merge()):
                return
            try:
                yield from self._merge(session, tokens, deadline_s)
            except SpineError:
                return

    def _merge(
        self, session: Session, tokens: tuple[str, ...], deadline_s: float
    ) -> Operation[None]:
        """Have the tokens merged that this call has claimed."""
        try:
            body = msgspec.json.encode({"tokens": tokens})
            call = Call(method="POST", path="/v1/session:merge", body=body)
            answer = yield from self._attempts(self._call_state(call, Session(), (), deadline_s))
            assert isinstance(answer, Answer), "only a stream is opened"
            session.learn(tokens, self._decoded(answer, call, MergedToken).token)
        finally:
            session.end_merge(tokens)

    def _call_state(
        self, call: Call, session: Session, sent: tuple[str, ...], deadline_s: float
    ) -> CallState:
        return CallState(call, session, sent, self._headers(call, sent), deadline_s)

    def _attempts(self, state: CallState) -> Operation[Outcome]:
        tried, indeterminate = 0, False  # has an attempt of this write perhaps been applied?
        self.budget.deposit()
        counts: tuple[str, ...] = ("requests", "attempts")
        while True:
            tried += 1
            url = self.endpoints.pick(self.environment.monotonic_s())
            request = self._request(state, url, self.options.attempts - tried + 1)
            self.meter.count(*counts)
            outcome = yield from self._attempt(state, request)
            if not isinstance(outcome, SpineError):
                return outcome
            if not indeterminate and state.call.key is None:
                outcome.settle()  # nobody else has the key, and no earlier attempt was applied
            indeterminate = indeterminate or (state.call.write and outcome.may_have_been_applied)
            outcome.may_have_been_applied = indeterminate
            pause_s = self._pause_s(outcome, url, tried, state.deadline_s)
            if pause_s is None:
                if indeterminate:
                    self.meter.count("indeterminate")
                raise outcome
            if tried == 1:
                self.meter.count("retried")
            counts = ("attempts",)
            yield Sleep(pause_s)

    def _attempt(self, state: CallState, request: Request) -> Operation[Outcome | SpineError]:
        url = request.base
        try:
            outcome = yield Open(request) if state.call.stream else request
        except ConnectionFailed as failure:
            return failure
        assert outcome is not None, "a request is answered"
        self.last_answer.note(url, outcome.status, outcome.headers)
        if token := outcome.headers.get("spine-session"):
            state.session.learn(state.sent, token)
        return outcome if isinstance(outcome, Stream) else failure_of(url, outcome) or outcome

    def _pause_s(
        self, failure: SpineError, url: str, tried: int, deadline_s: float
    ) -> float | None:
        """Return how long to wait before another attempt; None when there must not be one."""
        if not failure.retryable or isinstance(failure, Conflict):
            return None  # what somebody else holds is not free a moment later
        self.meter.count("attempts_failed")
        now_s = self.environment.monotonic_s()
        if isinstance(failure, ConnectionFailed) or failure.status == 503:
            self.endpoints.avoid(url, now_s)
        pause_s = backoff_s(tried, self.environment.uniform)
        if self.endpoints.pick(now_s) == url:  # another node need not be waited for
            pause_s = max(pause_s, failure.retry_after_ms / 1000)
        if tried == self.options.attempts or now_s + pause_s >= deadline_s:
            return None
        return pause_s if self.budget.withdraw() else None

    def _headers(self, call: Call, tokens: tuple[str, ...]) -> dict[str, str]:
        headers = {"Accept": "application/json"}
        if call.body is not None:
            headers["Content-Type"] = "application/json"
        if self.options.consistency is not None:
            headers["Spine-Consistency"] = self.options.consistency
        if tokens:
            headers["Spine-Session"] = _session_value(tokens)
        if call.write:
            key = arguments.optional_identifier(call.key, "key")
            if key is None:
                key = ulid(self.environment.unix_ms(), self.environment.entropy(ENTROPY_BYTES))
            headers["Idempotency-Key"] = header_value("key", key)
        if call.headers:
            headers.update(call.headers)
        return headers

    def _request(self, state: CallState, url: str, left: int) -> Request:
        call, key = state.call, self.options.api_key
        time_left_s = state.deadline_s - self.environment.monotonic_s()
        share_s = max(time_left_s / left, _ATTEMPT_MIN_S)
        first_byte_s, told_s = share_s, share_s * _TOLD_SHARE
        if call.wait_s:
            first_byte_s = min(call.wait_s + share_s, max(time_left_s, _ATTEMPT_MIN_S))
            told_s = first_byte_s - share_s * (1.0 - _TOLD_SHARE)
        given = (key() if callable(key) else key) or ""
        told_ms = min(max(int(told_s * 1000), _TOLD_MS_MIN), _TOLD_MS_MAX)
        query = f"?{urlencode(call.query, quote_via=quote)}" if call.query else ""
        headers = {
            **state.headers,
            REQUEST_ID: self.environment.entropy(REQUEST_ID_BYTES).hex(),
            "Spine-Timeout-Ms": str(told_ms),
        }
        if authorization := _authorization(given):
            headers["Authorization"] = authorization
        return Request(
            method=call.method,
            url=f"{url}{call.path}{query}",
            base=url,
            headers=headers,
            body=call.body,
            timeout_s=call.silence_s or max(time_left_s, _ATTEMPT_MIN_S),
            first_byte_s=first_byte_s,
        )

    def _decoded(self, answer: Answer, call: Call, model: type[Decoded]) -> Decoded:
        try:
            decoded = decode(answer.body, model)
        except (msgspec.DecodeError, RecursionError) as cause:
            raise _unexpected(answer, call, str(cause)) from cause
        if isinstance(decoded, Memory) and call.memory_id not in {None, decoded.id}:
            reason = f"about the memory {decoded.id!r} in place of {call.memory_id!r}"
            raise _unexpected(answer, call, reason)
        return decoded

    def memories_path(self) -> str:
        """Return the path of the memories of this view's namespace."""
        return self.namespace_path("memories")

    def namespace_path(self, what: str) -> str:
        """Return the path of the memories, the leases or the feed of this view's namespace.

        Raises:
            ConfigError: the view has none.
        """
        if self.options.namespace is None:
            raise ConfigError(
                "no namespace: set SPINE_NAMESPACE, or give namespace= (on the command line -n)"
            )
        return _namespace_path(self.options.namespace, what)


def _unexpected(answer: Answer, call: Call, reason: str) -> UnexpectedAnswer:
    failure = UnexpectedAnswer(call.path, answer.status, reason)
    failure.may_have_been_applied = call.write
    return failure


@lru_cache(maxsize=64)
def _namespace_path(namespace: str, what: str) -> str:
    return f"/v1/ns/{path_segment(namespace)}/{what}"


@lru_cache(maxsize=8)  # what is asked at once sends the same tokens
def _session_value(tokens: tuple[str, ...]) -> str:
    return header_value("session", ",".join(tokens))


@lru_cache(maxsize=8)  # a client sends the same key over and over
def _authorization(api_key: str) -> str:
    secret = header_value("api_key", arguments.text(api_key, "api_key").strip())
    return f"Bearer {secret}" if secret else ""


def path_segment(text: str) -> str:
    """Escape one part of a path.

    Raises:
        ConfigError: empty, `.` or `..`; a path with these would mean another resource.
    """
    if _PLAIN.fullmatch(text):
        return text
    if text in {"", ".", ".."}:
        raise ConfigError(f"{text!r} cannot stand in a path; choose another name")
    return quote(text, safe=":@~")


def header_value(option: str, text: str) -> str:
    """Return what may stand in a header.

    Raises:
        ConfigError: it may not. The text is not shown: it may be a secret.
    """
    if not (text.isascii() and text.isprintable()):
        raise ConfigError(f"{option} holds more than visible ASCII characters")
    return text


def failure_of(url: str, answer: Answer) -> SpineError | None:
    """Return the error that an answer is, None for a success."""
    if 200 <= answer.status < 300:
        return None
    if answer.headers.get("content-type", "").startswith("application/problem+json"):
        try:
            problem = decode(answer.body, dict)
        except (msgspec.DecodeError, RecursionError):
            return UnexpectedAnswer(url, answer.status, "a problem that is no JSON object")
        return error_of(_with_retry_after(problem, answer.headers), answer.status)
    kind = answer.headers.get("content-type", "nothing")
    return UnexpectedAnswer(url, answer.status, f"not with a problem document but with {kind}")


def _with_retry_after(problem: dict[str, object], headers: Mapping[str, str]) -> dict[str, object]:
    seconds = headers.get("retry-after", "")
    if seconds.isdecimal():
        problem.setdefault("retry_after_ms", int(seconds) * 1000)
    return problem
