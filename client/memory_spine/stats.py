"""What a client counts about itself, and what its last answer said. Threads share both."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from memory_spine.forks import Lock


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    """Counts since the client was made; its views (`ns`, `with_options`) count together."""

    requests: int = 0  # calls that needed the network, merges of sessions included
    attempts: int = 0  # HTTP requests sent for them
    attempts_failed: int = (
        0  # of these, without a final answer: no connection, or a retryable problem
    )
    retried: int = 0  # requests that needed more than one attempt
    indeterminate: int = 0  # writes that failed and may have been applied all the same


class Meter:
    """Adds up `Stats`. A copy begins at zero."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._counts = dict.fromkeys(Stats.__dataclass_fields__, 0)

    def __reduce__(self) -> tuple[type["Meter"], tuple[()]]:
        return Meter, ()

    @property
    def stats(self) -> Stats:
        """The counts so far."""
        return Stats(**self._counts)

    def count(self, *names: str) -> None:
        """Add one to each of these counts."""
        with self._lock:
            for name in names:
                self._counts[name] += 1


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerInfo:
    """What the headers of an answer tell. For diagnosis; only `consistency` is a promise."""

    url: str  # where the request was sent
    status: int
    node: str | None  # seat of the node that answered
    epoch: int | None  # of the topology document it followed
    acks: str | None  # "2/3": replicas known to hold the write
    consistency: str | None  # the model applied
    request_id: str | None
    staleness_ms: int | None  # every write acknowledged longer ago is in the answer
    index_lag_ms: int | None
    degraded: str | None  # one-replica, partial or isolated

    @classmethod
    def of(cls, url: str, status: int, headers: Mapping[str, str]) -> Self:
        """Read what is there; a diagnosis never fails a request."""
        return cls(
            url=url,
            status=status,
            node=headers.get("spine-node"),
            epoch=_number(headers.get("spine-epoch")),
            acks=headers.get("spine-acks"),
            consistency=headers.get("spine-consistency"),
            request_id=headers.get("spine-request-id"),
            staleness_ms=_number(headers.get("spine-staleness-ms")),
            index_lag_ms=_number(headers.get("spine-index-lag-ms")),
            degraded=headers.get("spine-degraded"),
        )


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdecimal() else None


class LastAnswer:
    """Holds the last answer of one view. A copy has had none."""

    _noted: tuple[str, int, Mapping[str, str]] | None = None

    def note(self, url: str, status: int, headers: Mapping[str, str]) -> None:
        """Keep what an answer told, to be read when somebody asks."""
        self._noted = (url, status, headers)

    @property
    def info(self) -> AnswerInfo | None:
        """What the last answer told; None before the first."""
        return None if self._noted is None else AnswerInfo.of(*self._noted)

    def __reduce__(self) -> tuple[type["LastAnswer"], tuple[()]]:
        return LastAnswer, ()
