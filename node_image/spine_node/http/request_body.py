"""Reading the body of a request from its socket: bounded in bytes and in time."""

import asyncio
from typing import Final

from aiohttp import web
from aiohttp.streams import StreamReader

from spine_core.errors import ProblemError
from spine_node.http.messages import ClientGoneError, too_large

_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"


async def read_body(raw: web.BaseRequest, bytes_max: int, deadline: float) -> bytes:
    """Return the whole body (`messages.ReadBody`)."""
    if (raw.content_length or 0) > bytes_max:
        raise too_large(bytes_max)
    try:
        async with asyncio.timeout_at(deadline):
            return await _collect(raw, bytes_max)
    except TimeoutError as error:
        detail = "the body did not arrive in time"
        raise ProblemError("deadline-exceeded", detail, outcome="not-applied") from error
    except web.RequestPayloadError as error:
        raise ProblemError("invalid-request", "the body is framed wrongly") from error
    except ConnectionError as error:
        raise ClientGoneError from error


async def read_whole_body(content: StreamReader, bytes_max: int, _deadline: float) -> bytes:
    """Return a body that came with its head: nothing to wait for (`messages.ReadBody`)."""
    body = content.read_nowait()
    _check_size(body, bytes_max)
    return body


async def _collect(raw: web.BaseRequest, bytes_max: int) -> bytes:
    if raw.headers.get("Expect", "").lower() == "100-continue":
        await raw.writer.write(_CONTINUE)
        raw.writer.output_size = 0  # what follows is the first byte of the real answer
    body = bytearray()
    async for piece in raw.content.iter_any():
        body += piece
        _check_size(body, bytes_max)
    return bytes(body)


def _check_size(body: bytes | bytearray, bytes_max: int) -> None:
    if len(body) > bytes_max:
        raise too_large(bytes_max)
