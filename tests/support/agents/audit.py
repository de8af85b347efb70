"""The audit: every acknowledged memory, read from every store that the topology assigns it to.

It asks the admin plane of each node for that store's own copy, so no coordinator, quorum or repair
can make up for what a store lacks. Replicas that an acknowledgement did not wait for get until the
deadline to catch up.
"""

import asyncio
import base64
import json
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp

from agents.clock import pause
from agents.fleet import NAMESPACE
from agents.messages import Message
from spine_core.records.ids import slot_of
from spine_core.scalars import StoreNumber
from spine_core.topology.document import Document
from spine_core.topology.placement import Placement

AT_ONCE = 32
ROUND_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """The result. `lost` are memories without an equal, right copy on each of their stores."""

    audited: int
    copies: int
    lost: tuple[str, ...]
    epoch: int


class Auditor:
    """Reads stores through the admin plane. `urls` is seat → base URL."""

    def __init__(
        self, urls: Mapping[str, str], token: str, tls: ssl.SSLContext | None = None
    ) -> None:
        self._urls, self._tls = urls, tls
        self._headers = {"Authorization": f"Bearer {token}"}

    async def audit(self, acknowledged: Mapping[str, Message], *, within_s: float) -> Findings:
        """Audit until everything is right or the time is up."""
        deadline = time.monotonic() + within_s
        connector = aiohttp.TCPConnector(ssl=self._tls or True, limit=AT_ONCE)
        async with aiohttp.ClientSession(headers=self._headers, connector=connector) as http:
            document = await self._document(http)
            placement = Placement(document)
            left: Mapping[str, Message] = acknowledged
            while True:
                bad = await self._look(http, document, placement, left)
                if not bad or time.monotonic() > deadline:
                    break
                left = {memory_id: acknowledged[memory_id] for memory_id in bad}
                await pause(ROUND_S)
        return Findings(
            audited=len(acknowledged),
            copies=len(acknowledged) * document.factor,
            lost=tuple(bad),
            epoch=document.epoch,
        )

    async def _document(self, http: aiohttp.ClientSession) -> Document:
        """Return the newest document that any node holds."""
        found = []
        for url in self._urls.values():
            async with http.get(f"{url}/admin/v1/status") as answer:
                store = (await answer.json())["store"]["id"]
            headers = {"Spine-Store": store}
            async with http.get(f"{url}/admin/v1/topology", headers=headers) as answer:
                if answer.status == 200:
                    found.append(Document.from_json(json.loads(await answer.read())))
        return max(found, key=lambda document: document.epoch)

    async def _look(
        self,
        http: aiohttp.ClientSession,
        document: Document,
        placement: Placement,
        memories: Mapping[str, Message],
    ) -> list[str]:
        few = asyncio.Semaphore(AT_ONCE)

        async def check(memory_id: str, message: Message) -> str | None:
            slot = slot_of(NAMESPACE, memory_id, document.slots)
            async with few:
                copies = [
                    await self._copy(http, document, store, memory_id)
                    for store in placement.current(slot)
                ]
            return None if _right(copies, message) else memory_id

        checked = await asyncio.gather(*(check(*item) for item in memories.items()))
        return [memory_id for memory_id in checked if memory_id is not None]

    async def _copy(
        self, http: aiohttp.ClientSession, document: Document, store: int, memory_id: str
    ) -> dict[str, Any] | None:
        info = document.stores[StoreNumber(store)]
        url = f"{self._urls[info.seat]}/admin/v1/records/{NAMESPACE}/{memory_id}"
        async with http.get(url, headers={"Spine-Store": info.id}) as answer:
            if answer.status != 200:
                return None
            copy: dict[str, Any] = await answer.json()
            return copy


def _right(copies: list[dict[str, Any] | None], message: Message) -> bool:
    """Whether all stores hold the same bytes, and those say what the agent said."""
    first = copies[0]
    if first is None or any(copy != first for copy in copies):
        return False
    memory = json.loads(base64.b64decode(first["body_base64"]))
    said = (memory["content"], memory["agent_id"], memory["thread_id"])
    return bool(said == (message.text, message.sender, message.conversation))
