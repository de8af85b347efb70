"""What `Spine` and `AsyncSpine` share: options, sessions and counts. Nothing here does I/O."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Self

from memory_spine import arguments
from memory_spine.conditions import FenceLike, fence_of
from memory_spine.config import ConsistencyModel, Options, urls_of
from memory_spine.core import Core
from memory_spine.retry import Endpoints
from memory_spine.session import Session
from memory_spine.stats import AnswerInfo, LastAnswer, Stats


class BaseClient:
    """The part of `Spine` and `AsyncSpine` that does no I/O."""

    _core: Core

    def __repr__(self) -> str:
        core = self._core
        return f"{type(self).__name__}({core.endpoints}, namespace={core.options.namespace!r})"

    @property
    def session_token(self) -> str | None:
        """What this client wrote and saw, as a text for another: `Spine(session=token)`.

        Inside a `session()` block it is that block's. Several tokens are joined by commas.
        """
        return self._core.session.active().token

    @property
    def stats(self) -> Stats:
        """What this client and its views have counted so far."""
        return self._core.meter.stats

    @property
    def last_answer(self) -> AnswerInfo | None:
        """What the headers of the last answer to this view told, for diagnosis.

        With several threads or tasks, the last of any of them; take a view for each to tell apart.
        """
        return self._core.last_answer.info

    def ns(self, namespace: str) -> Self:
        """Return a view of another namespace on the same connections and session."""
        arguments.identifier(namespace, "namespace")
        return self._view(options=replace(self._core.options, namespace=namespace))

    def with_options(
        self,
        *,
        urls: str | Sequence[str] | None = None,
        consistency: ConsistencyModel | None = None,
        timeout: float | None = None,
        attempts: int | None = None,
        session: str | None = None,
        fence: FenceLike | None = None,
    ) -> Self:
        """Return a view that differs in what is given, on the same connections.

        The view shares this client's session unless `session` gives it one of its own; `urls` pins
        its requests to these nodes; each of its changes that names no `fence` has this one.
        """
        now = self._core.options
        options = replace(
            now,
            consistency=now.consistency if consistency is None else consistency,
            timeout=now.timeout if timeout is None else timeout,
            attempts=now.attempts if attempts is None else attempts,
            fence=now.fence if fence is None else fence_of(fence),
        )
        return self._view(
            options=options,
            endpoints=None if urls is None else Endpoints(urls_of(urls, {})),
            session=None if session is None else Session(session),
        )

    def session(self, token: str | None = None) -> AbstractContextManager[Session]:
        """Give the calling thread or task a session of its own inside the block.

        It begins with `token`, else empty. Tasks that work at the same time should each have one.
        """
        return self._core.session.block(token)

    def merge_session(self, *tokens: str) -> None:
        """From now on also see what the holders of these tokens wrote and saw."""
        self._core.session.active().add(*tokens)

    def _view(
        self,
        *,
        options: Options,
        endpoints: Endpoints | None = None,
        session: Session | None = None,
    ) -> Self:
        view = object.__new__(type(self))
        view.__dict__.update(self.__dict__)
        view._core = replace(
            self._core,
            options=options,
            endpoints=endpoints or self._core.endpoints,
            session=session or self._core.session,
            last_answer=LastAnswer(),
        )
        return view


def core_of(
    url: str | Sequence[str] | None,
    options: Options,
    session: str | None,
    environ: Mapping[str, str],
) -> Core:
    """Return the core of a new client; what is not given comes from `SPINE_*` variables."""
    full = replace(
        options,
        api_key=environ.get("SPINE_API_KEY") if options.api_key is None else options.api_key,
        namespace=environ.get("SPINE_NAMESPACE") or None
        if options.namespace is None
        else options.namespace,
    )
    endpoints = Endpoints(urls_of(url, environ))
    return Core(options=full, endpoints=endpoints, session=Session(session))
