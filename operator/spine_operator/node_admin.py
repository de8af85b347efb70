"""Implements `NodesPort` over HTTPS: the admin plane of the nodes, each call two seconds at most.

The CA and the token come with each endpoint, since every cluster has its own; neither is ever logged.
Source: operator.md §5.1.
"""

import asyncio
import ssl
from collections.abc import Callable
from functools import lru_cache
from typing import Self, TypeVar

import aiohttp

from spine_core.admin_plane import (
    TIMEOUT_S,
    AdminCall,
    check_adopted,
    get_status,
    parse_object,
    put_pace,
    put_topology,
)
from spine_core.errors import InvalidInputError
from spine_core.topology.document import Document
from spine_operator.ports import Json, NodeEndpoint, NodeError

T = TypeVar("T")

CALL_TIMEOUT = aiohttp.ClientTimeout(total=TIMEOUT_S)
CALLS_AT_ONCE = 16  # over all clusters
CALLS_PER_NODE = 2


@lru_cache(maxsize=256)  # one per authority; building one costs a millisecond
def _trust(authority: str) -> ssl.SSLContext:
    return ssl.create_default_context(cadata=authority)


class NodeAdmin:
    """The admin plane of all nodes. One connection pool; use it as a context."""

    def __init__(self, count: Callable[[str], None] = lambda _result: None) -> None:
        self._count = count
        connector = aiohttp.TCPConnector(limit_per_host=CALLS_PER_NODE)
        self._session = aiohttp.ClientSession(connector=connector, timeout=CALL_TIMEOUT)
        self._calls = asyncio.Semaphore(CALLS_AT_ONCE)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def status(self, endpoint: NodeEndpoint) -> Json:
        """Return the node's report."""
        return await self._send(endpoint, get_status(endpoint.token), parse_object)

    async def adopt(self, endpoint: NodeEndpoint, store_id: str, document: Document) -> None:
        """Return after the store has durably adopted the document, and no other."""
        call = put_topology(endpoint.token, store_id, document)
        await self._send(endpoint, call, lambda body: check_adopted(body, document))

    async def set_pace(
        self, endpoint: NodeEndpoint, store_id: str, *, bytes_per_s: int, slots: int
    ) -> None:
        """Bound the pulls of the node."""
        call = put_pace(endpoint.token, store_id, bytes_per_s=bytes_per_s, slots=slots)
        await self._send(endpoint, call, parse_object)

    async def _send(
        self, endpoint: NodeEndpoint, call: AdminCall, parse: Callable[[bytes], T]
    ) -> T:
        """Send a call and read its answer; what is no success in the right form is a `NodeError`."""
        try:
            async with (
                self._calls,
                self._session.request(
                    call.method,
                    f"{endpoint.url}{call.path}",
                    headers=call.headers,
                    data=call.body,
                    ssl=_trust(endpoint.authority) if endpoint.authority else True,
                    server_hostname=endpoint.server_name if endpoint.authority else None,
                    allow_redirects=False,
                ) as response,
            ):
                status, body = response.status, await response.read()
        except (aiohttp.ClientError, OSError) as error:
            self._count("unreachable")
            raise NodeError(f"{endpoint.seat}: {type(error).__name__}") from error
        self._count("ok" if status == 200 else "refused")
        try:
            if status == 200:
                return parse(body)
            code = str(parse_object(body).get("code"))
        except InvalidInputError as error:
            raise NodeError(f"{endpoint.seat}: {call.path}: {error}") from error
        raise NodeError(f"{endpoint.seat}: {call.path} answered {status} {code}", code=code)
