"""A bare aiohttp server that answers one reply: what HTTP in Python costs without a database.

`python -m bench.systems.bare PORT FILE` is the server itself. It answers the bytes and the headers
of one of our own answers.
"""

import asyncio
import socket
import sys
from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

import msgspec
import uvloop
from aiohttp import web

from bench.processes import Process, free_ports
from bench.systems.system import Tally
from bench.waiting import until


class Reply(msgspec.Struct, frozen=True):
    """What it answers, without what aiohttp adds by itself: length and date."""

    headers: dict[str, str]
    body: str


class BareServers:
    """As many processes as we have nodes, so that caches are shared by as many."""

    name = "bare aiohttp"
    durability = "none: one reply from memory"
    replicas = 0

    def __init__(self, root: Path, count: int = 3) -> None:
        self._root = root / "bare"
        self._root.mkdir()
        self._ports = free_ports(count)
        self._servers: list[Process] = []

    def answer(self, headers: Mapping[str, str], body: bytes) -> None:
        """Start with this reply."""
        own = {"content-length", "date"}
        kept = {name: value for name, value in headers.items() if name.lower() not in own}
        file = self._root / "reply.json"
        file.write_bytes(msgspec.json.encode(Reply(kept, body.decode())))
        for port in self._ports:
            command: list[str | Path] = [
                sys.executable,
                "-m",
                "bench.systems.bare",
                str(port),
                file,
            ]
            self._servers.append(Process(command, self._root / f"{port}.log"))
        until("bare servers listen", lambda: all(map(_listens, self._ports)))

    def start(self) -> None:
        """Do nothing: it starts when it knows its reply."""

    @property
    def addresses(self) -> list[str]:
        """`host:port` of each."""
        return [f"127.0.0.1:{port}" for port in self._ports]

    def pids(self) -> list[int]:
        """Return the processes."""
        return [server.pid for server in self._servers]

    def version(self) -> str:
        """Return the versions that matter."""
        return f"aiohttp {version('aiohttp')}, uvloop {version('uvloop')}"

    def verify(self, tally: Tally) -> list[str]:  # noqa: ARG002 - it holds nothing
        """Return nothing."""
        return []

    def close(self) -> None:
        """End all."""
        for server in self._servers:
            server.stop()


def _listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False


async def _serve(port: int, reply: Reply) -> None:
    body = reply.body.encode()

    async def handle(_request: web.BaseRequest) -> web.Response:
        return web.Response(body=body, headers=reply.headers)

    runner = web.ServerRunner(web.Server(handle, access_log=None))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    given = msgspec.json.decode(Path(sys.argv[2]).read_bytes(), type=Reply)
    uvloop.run(_serve(int(sys.argv[1]), given))
