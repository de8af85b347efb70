"""`Spine`: the client that blocks. Threads may share one."""

import os
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing, suppress
from types import TracebackType
from typing import Any, Self, cast

from memory_spine import operations
from memory_spine.arguments import Seconds
from memory_spine.base_client import BaseClient, core_of
from memory_spine.config import (
    ATTEMPTS,
    TIMEOUT_S,
    ApiKey,
    ConsistencyModel,
    Options,
    TransportName,
    transport_name,
)
from memory_spine.effects import (
    Transport,
)
from memory_spine.errors import ConnectionFailed
from memory_spine.models import ChangePage, Cluster, Event, Identity
from memory_spine.network import NetworkOptions
from memory_spine.paging import Scope
from memory_spine.sync_driver import run
from memory_spine.sync_leases import Leases
from memory_spine.sync_memories import Memories
from memory_spine.urllib3_transport import Urllib3Transport
from memory_spine.watch import EventType, Watch, changes, watched


class Spine(BaseClient):
    """A client of one cluster.

    It can be copied and pickled: its options travel, the key among them, and what its session knows;
    its connections and counts do not. A forked process opens connections of its own.

    Args:
        url: base URL of a node, or several for failover; else SPINE_URL, else this machine.
        api_key: else SPINE_API_KEY. A function is asked before every attempt.
        namespace: of `memories`; else SPINE_NAMESPACE.
        consistency: model of every request; None leaves it to the namespace.
        session: token of another client, to see what it wrote and saw.
        timeout: seconds a call may take: connecting, sending, receiving, all attempts together.
        attempts: how often one call is tried.
        ca_file: certificates to trust for https; else SPINE_CA_FILE, else those of the system.
        proxy: URL of an HTTP proxy, or "environment" for what HTTPS_PROXY, HTTP_PROXY and NO_PROXY
            say; else SPINE_PROXY, else none, whatever those variables say.
        transport: "http" (a connection for each request at a time), "link" (one to each node, and
            what is asked at once travels in one message), or an object that carries the requests;
            else SPINE_TRANSPORT, else "http".

    Raises:
        ConfigError: an option is wrong.
    """

    def __init__(  # noqa: PLR0913 - options by name, each with its default
        self,
        url: str | Sequence[str] | None = None,
        *,
        api_key: ApiKey | None = None,
        namespace: str | None = None,
        consistency: ConsistencyModel | None = None,
        session: str | None = None,
        timeout: float = TIMEOUT_S,
        attempts: int = ATTEMPTS,
        ca_file: str | None = None,
        proxy: str | None = None,
        transport: Transport | TransportName | None = None,
    ) -> None:
        options = Options(
            api_key=api_key,
            namespace=namespace,
            consistency=consistency,
            timeout=timeout,
            attempts=attempts,
        )
        self._core = core_of(url, options, session, os.environ)
        if (name := transport_name(transport, os.environ)) is None:
            self._transport = cast("Transport", transport)
        else:
            self._transport = _made(name, NetworkOptions.of(ca_file, proxy, os.environ))

    @property
    def memories(self) -> Memories:
        """The memories of this view's namespace."""
        return Memories(self._core, self._transport)

    @property
    def leases(self) -> Leases:
        """The leases of this view's namespace."""
        return Leases(self._core, self._transport)

    def whoami(self) -> Identity:
        """Return who the server takes you for."""
        return run(operations.whoami(self._core), self._transport)

    def cluster(self, *, slots: bool = False) -> Cluster:
        """Return the cluster as the node that answers sees it; `slots` adds who holds which slot."""
        return run(operations.cluster(self._core, slots=slots), self._transport)

    def watch(
        self,
        *,
        filter: Mapping[str, Any] | None = None,  # noqa: A002 - the word of the API
        scope: Scope = "exact",
        events: Sequence[EventType] = ("put", "delete"),
        since: str = "now",
    ) -> Generator[Event, None, None]:
        """Return what changes in the namespace, without an end, over as many connections as it takes.

        Every acknowledged write comes, at least once; of one id, no older version after a newer
        one; several writes may come as one. `since` is "now", "beginning" (of what is kept) or the
        `cursor` of an event. `reset` among the events means that some are missing: list again.
        Nothing is sent before iteration; a loop that is left should close what it iterates over.

        Raises:
            SpineError: the first connection failed, or a later one was refused for good.
        """
        what = watched(self._core, filter=filter, scope=scope, events=events, since=since)
        return _events(Watch(self._core, what), self._transport)

    def changes(
        self,
        *,
        filter: Mapping[str, Any] | None = None,  # noqa: A002 - the word of the API
        scope: Scope = "exact",
        events: Sequence[EventType] = ("put", "delete"),
        since: str = "now",
        limit: int = 50,
        wait: Seconds = 0.0,
    ) -> ChangePage:
        """Return what changed since a cursor; its `cursor` is the next `since`.

        When nothing has changed, `wait` is for how long to wait for it.
        """
        what = watched(self._core, filter=filter, scope=scope, events=events, since=since)
        return run(changes(self._core, what, limit=limit, wait=wait), self._transport)

    def close(self) -> None:
        """Give up the connections, also those of every view."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _made(name: TransportName, options: NetworkOptions) -> Transport:
    if name == "http":
        return Urllib3Transport(options)
    from memory_spine.blocking_link import (  # noqa: PLC0415 - it brings aiohttp
        BlockingLinkTransport,
    )

    return BlockingLinkTransport(options)


def _events(watch: Watch, transport: Transport) -> Generator[Event, None, None]:
    while True:
        stream = run(watch.open(), transport)
        with closing(stream.chunks) as chunks, suppress(ConnectionFailed):
            for chunk in chunks:
                yield from watch.take(chunk)
                if watch.lagging:
                    break
        watch.broken()
