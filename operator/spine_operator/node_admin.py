"""`NodesPort` over HTTPS: the admin plane of the nodes, each call two seconds at most.

The CA and the token come with each endpoint, since every cluster has its own; neither is ever logged.
Source: operator.md §5.1.
"""

import asyncio
import ssl
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Self

import aiohttp

from spine_core.topology.document import Document
from spine_operator.ports import Json, NodeEndpoint, NodeError

CALL_TIMEOUT = aiohttp.ClientTimeout(total=2)
CALLS_AT_ONCE = 16  # over all clusters
CALLS_PER_NODE = 2


@lru_cache(maxsize=256)  # one per authority; building one costs a millisecond
def _trust(authority: str) -> ssl.SSLContext:
    return ssl.create_default_context(cadata=authority)


class NodeAdmin:
    """The adapter. One connection pool; use it as a context."""

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
        return await self._call("GET", endpoint, "status")

    async def adopt(self, endpoint: NodeEndpoint, store_id: str, document: Document) -> None:
        """Return after the store has durably adopted the document, and no other."""
        body = document.canonical()
        answer = await self._call("PUT", endpoint, "topology", store_id=store_id, body=body)
        if (answer.get("epoch"), answer.get("digest")) != (document.epoch, document.digest()):
            raise NodeError(f"{endpoint.seat} says that it adopted another document")

    async def set_pace(
        self, endpoint: NodeEndpoint, store_id: str, *, bytes_per_s: int, slots: int
    ) -> None:
        """Bound the pulls of the node."""
        body = b'{"bytes_per_s":%d,"slots":%d}' % (bytes_per_s, slots)
        await self._call("PUT", endpoint, "pace", store_id=store_id, body=body)

    async def _call(
        self,
        method: str,
        endpoint: NodeEndpoint,
        call: str,
        *,
        store_id: str = "",
        body: bytes | None = None,
    ) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {endpoint.token}"}
        if body is not None:
            headers |= {"Content-Type": "application/json", "Spine-Store": store_id}
        try:
            async with (
                self._calls,
                self._session.request(
                    method,
                    f"{endpoint.url}/admin/v1/{call}",
                    headers=headers,
                    data=body,
                    ssl=_trust(endpoint.authority) if endpoint.authority else True,
                    server_hostname=endpoint.server_name if endpoint.authority else None,
                    allow_redirects=False,
                ) as response,
            ):
                status, answer = response.status, await response.json(content_type=None)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            self._count("unreachable")
            raise NodeError(f"{endpoint.seat}: {type(error).__name__}") from error
        self._count("ok" if status == 200 else "refused")
        return _answer(endpoint, call, status, answer)


def _answer(endpoint: NodeEndpoint, call: str, status: int, answer: object) -> dict[str, Any]:
    """Return the body of a success; raise the problem of a failure."""
    if not isinstance(answer, dict):
        raise NodeError(f"{endpoint.seat}: {call} answered no JSON object")
    if status != 200:
        code = answer.get("code")
        raise NodeError(f"{endpoint.seat}: {call} answered {status} {code}", code=str(code))
    return answer
