"""Asks other nodes' admin planes: what the first node of a static cluster needs to know."""

import asyncio
import ssl

import aiohttp

from spine_core.admin_plane import TIMEOUT_S, get_status, parse_report
from spine_core.errors import InvalidInputError
from spine_core.planning.reports import Report


async def fetch_report(
    http: aiohttp.ClientSession, url: str, token: str, tls: ssl.SSLContext | None
) -> Report | None:
    """Return what the node at `host:port` reports; None when there is no usable answer."""
    scheme, call = "https" if tls else "http", get_status(token)
    try:
        async with http.request(
            call.method,
            f"{scheme}://{url}{call.path}",
            headers=call.headers,
            timeout=aiohttp.ClientTimeout(total=TIMEOUT_S),
            ssl=tls or True,
        ) as answer:
            return parse_report(await answer.read()) if answer.status == 200 else None
    except (aiohttp.ClientError, TimeoutError, InvalidInputError):
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
