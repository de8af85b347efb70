"""The options of a client, from arguments and `SPINE_*` variables; an argument wins."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, cast, get_args
from urllib.parse import urlsplit

from memory_spine import arguments
from memory_spine.conditions import Fence
from memory_spine.errors import ConfigError

ConsistencyModel: TypeAlias = Literal["strong", "causal", "read-your-writes", "eventual"]
ApiKey: TypeAlias = str | Callable[[], str]  # a function is asked before every attempt
TransportName: TypeAlias = Literal["http", "link"]

DEFAULT_URL = "http://127.0.0.1:8788"  # `spine serve` on this machine
TIMEOUT_S = 10.0  # of a whole call with all its attempts
ATTEMPTS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What every request of one view has in common."""

    api_key: ApiKey | None = field(default=None, repr=False)
    namespace: str | None = None
    consistency: ConsistencyModel | None = None  # None: what the namespace says
    timeout: float = TIMEOUT_S
    attempts: int = ATTEMPTS
    fence: Fence | None = None  # of every change that names none

    def __post_init__(self) -> None:
        if not arguments.number(self.timeout, "timeout") > 0:
            raise ConfigError(f"timeout must be a number of seconds above 0, not {self.timeout}")
        if arguments.whole(self.attempts, "attempts") < 1:
            raise ConfigError(f"attempts must be at least 1, not {self.attempts}")
        if self.namespace is not None:
            arguments.identifier(self.namespace, "namespace")
        if self.consistency is not None:
            arguments.one_of(self.consistency, "consistency", get_args(ConsistencyModel))
        if not (self.api_key is None or isinstance(self.api_key, str) or callable(self.api_key)):
            raise TypeError("api_key must be a text, or a function that returns one")


def urls_of(url: str | Sequence[str] | None, environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return the base URLs, from the argument or the comma-separated SPINE_URL.

    Raises:
        ConfigError: one is no http or https address.
    """
    given = environ.get("SPINE_URL") or DEFAULT_URL if url is None else url
    texts = given.split(",") if isinstance(given, str) else arguments.texts(given, "url")
    if not texts:
        raise ConfigError("url names no node; write http://HOST:8788")
    urls = tuple(dict.fromkeys(text.strip().rstrip("/") for text in texts))
    for text in urls:
        if not _is_base_url(text):
            hint = ", an IPv6 address in brackets" if text.count(":") > 2 else ""
            raise ConfigError(f"{text!r} is no address of a node; write http://HOST:8788{hint}")
    return urls


def _is_base_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:  # brackets that do not close, a port that is no number
        return False
    extras = parts.query or parts.fragment or parts.username or port == 0
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and not extras


def transport_name(given: object, environ: Mapping[str, str]) -> TransportName | None:
    """Return which transport to make, from the argument or SPINE_TRANSPORT; None: one is given.

    Raises:
        ConfigError: there is none of this name.
    """
    name = (environ.get("SPINE_TRANSPORT") or "http") if given is None else given
    if not isinstance(name, str):
        return None
    return cast("TransportName", arguments.one_of(name, "transport", get_args(TransportName)))
