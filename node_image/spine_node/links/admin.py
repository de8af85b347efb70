"""Asks other nodes' admin planes: what the founder of a static cluster needs to know."""

import asyncio
import ssl
from typing import Any

import aiohttp
import msgspec

from spine_core.errors import InvalidInputError
from spine_core.planning.reports import Report

TIMEOUT_S = 2.0


async def fetch_report(
    http: aiohttp.ClientSession, url: str, token: str, tls: ssl.SSLContext | None
) -> Report | None:
    """Return what the node at `host:port` reports; None when there is no usable answer."""
    scheme = "https" if tls else "http"
    try:
        async with http.get(
            f"{scheme}://{url}/admin/v1/status",
            headers={"Authorization": f"Bearer {token}"},
            timeout=aiohttp.ClientTimeout(total=TIMEOUT_S),
            ssl=tls or True,
        ) as answer:
            if answer.status != 200:
                return None
            body: Any = msgspec.json.decode(await answer.read())
            return Report.from_json(body)
    except (aiohttp.ClientError, TimeoutError, msgspec.DecodeError, InvalidInputError):
        return None


async def fetch_reports(
    urls: dict[str, str], token: str, tls: ssl.SSLContext | None
) -> dict[str, Report | None]:
    """Return seat → report of the nodes at seat → `host:port`, asked all at once."""
    async with aiohttp.ClientSession() as http:
        reports = await asyncio.gather(
            *(fetch_report(http, url, token, tls) for url in urls.values())
        )
    return dict(zip(urls, reports, strict=True))
