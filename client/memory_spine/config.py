"""The options of a client, from arguments and `SPINE_*` variables; an argument wins."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias
from urllib.parse import urlsplit

from memory_spine.errors import ConfigError

Model: TypeAlias = Literal["strong", "causal", "read-your-writes", "eventual"]
ApiKey: TypeAlias = str | Callable[[], str]  # a function is asked before every attempt

DEFAULT_URL = "http://127.0.0.1:8788"  # `spine serve` on this machine
TIMEOUT_S = 10.0  # of a whole call with all its attempts
ATTEMPTS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What every request of one view has in common."""

    api_key: ApiKey | None = None
    namespace: str | None = None
    consistency: Model | None = None  # None: what the namespace says
    timeout: float = TIMEOUT_S
    attempts: int = ATTEMPTS

    def __post_init__(self) -> None:
        if self.timeout <= 0:
            raise ConfigError(f"timeout must be more than 0 seconds, not {self.timeout}")
        if self.attempts < 1:
            raise ConfigError(f"attempts must be at least 1, not {self.attempts}")


def urls_of(url: str | Sequence[str] | None, environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return the base URLs, from the argument or the comma-separated SPINE_URL.

    Raises:
        ConfigError: one is no http or https address.
    """
    given = environ.get("SPINE_URL") or DEFAULT_URL if url is None else url
    texts = given.split(",") if isinstance(given, str) else given
    urls = tuple(dict.fromkeys(text.strip().rstrip("/") for text in texts))
    for text in urls:
        parts = urlsplit(text)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ConfigError(f"{text!r} is no address of a node; write http://HOST:8788")
    return urls
