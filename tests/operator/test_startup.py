"""The operator starts beside a control plane that is not ready, and under a uid without an account."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import fields
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from aiohttp import web

from cluster.nodes import free_ports
from kubedouble.api_server import ApiServer, Trouble
from spine_operator.ports import KubeError, NotFoundError
from spine_operator.settings import PREFIX, Settings
from spine_operator.startup import PATIENCE_S, RETRY_AFTER_MAX_S, await_served

DISCOVERY = "/apis/memoryspine.io/v1alpha1"
CLUSTERS = f"{DISCOVERY}/namespaces/ops/memoryspineclusters"
NOBODY = 12345  # no image and no machine has an account for it
INITIALIZING = Trouble(status=429, message="storage is (re)initializing", retry_after_s=1)


class Start:
    """A start whose checks fail as told; its pauses only move the clock."""

    def __init__(self, *errors: KubeError, stopped: bool = False) -> None:
        self.errors, self.stopped = list(errors), stopped
        self.now_s, self.pauses = 100.0, list[float]()

    async def check(self) -> None:
        if self.errors:
            raise self.errors.pop(0)

    async def pause(self, seconds: float) -> bool:
        self.pauses.append(seconds)
        self.now_s += seconds
        return self.stopped

    async def run(self) -> bool:
        return await await_served(self.check, self.pause, monotonic_s=lambda: self.now_s)


async def test_what_is_not_served_yet_is_waited_for() -> None:
    start = Start(NotFoundError("404"), KubeError("503"), KubeError("no answer"))
    assert await start.run()
    assert start.pauses == [0.5, 1.0, 2.0]


async def test_a_start_waits_as_long_as_the_server_asks_but_not_until_the_lease_runs_out() -> None:
    start = Start(KubeError("429", retry_after_s=3.0), KubeError("429", retry_after_s=600.0))
    assert await start.run()
    assert start.pauses == [3.0, RETRY_AFTER_MAX_S]


async def test_what_is_never_served_ends_the_start() -> None:
    start = Start(*[NotFoundError("404")] * 1000)
    with pytest.raises(NotFoundError):
        await start.run()
    assert PATIENCE_S <= start.now_s - 100.0 < PATIENCE_S + RETRY_AFTER_MAX_S


async def test_a_stop_is_not_kept_waiting() -> None:
    assert not await Start(KubeError("503"), stopped=True).run()


@pytest.fixture
def config() -> Iterator[Path]:
    """Where a kubeconfig may stand that any uid can read, as pytest's own directories cannot be."""
    with TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        yield Path(directory) / "config"


@pytest.fixture
async def api(config: Path) -> AsyncIterator[ApiServer]:
    server, app = ApiServer({}), web.Application()
    app.router.add_route("*", "/{path:.*}", server.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    await asyncio.to_thread(
        config.write_text, kubeconfig(f"http://127.0.0.1:{runner.addresses[0][1]}")
    )
    yield server
    server.closing.set()
    await runner.cleanup()


def kubeconfig(url: str) -> str:
    return json.dumps(
        {
            "current-context": "x",
            "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
            "clusters": [{"name": "x", "cluster": {"server": url}}],
            "users": [{"name": "x", "user": {"token": "t"}}],
        }
    )


def as_nobody(*command: str) -> list[str]:
    """Return the command under a uid without an account, where we may choose one."""
    if os.getuid() != 0:
        return list(command)
    ids = (f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
    return ["setpriv", *ids, *command]


def environment(config: Path) -> dict[str, str]:
    """What a container gets at least: no HOME and no USER."""
    health, metrics = free_ports(2)
    return {
        "PATH": os.environ["PATH"],
        "KUBECONFIG": str(config),
        "SPINE_OPERATOR_IDENTITY": "me",
        "SPINE_OPERATOR_NAMESPACE": "ops",
        "SPINE_OPERATOR_NAMESPACES": "ops",
        "SPINE_OPERATOR_HEALTH_PORT": str(health),
        "SPINE_OPERATOR_METRICS_PORT": str(metrics),
    }


async def test_the_operator_survives_the_minute_in_which_its_definition_is_installed(
    api: ApiServer, config: Path
) -> None:
    api.troubles = {
        "/apis": [Trouble(status=503)],
        DISCOVERY: [Trouble(status=404)],
        CLUSTERS: [INITIALIZING, INITIALIZING],
    }
    process = await asyncio.create_subprocess_exec(
        *as_nobody(sys.executable, "-m", "spine_operator"),
        env=environment(config),
        stderr=asyncio.subprocess.PIPE,
    )
    ending = asyncio.create_task(process.communicate())
    watched = asyncio.create_task(api.watched.wait())
    await asyncio.wait((ending, watched), timeout=60, return_when=asyncio.FIRST_COMPLETED)
    if process.returncode is None:
        process.send_signal(signal.SIGTERM)
    log = (await ending)[1]
    assert watched.done(), log.decode()
    assert process.returncode == 0, log.decode()
    assert b"Traceback" not in log, log.decode()
    assert log.count(b"not_served_yet") == 4
    assert all(not waiting for waiting in api.troubles.values())


@pytest.mark.parametrize("program", ["spine_operator", "spine_node"])
async def test_help_needs_no_settings(program: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *as_nobody(sys.executable, "-m", program, "--help"),
        env={"PATH": os.environ["PATH"]},
        stdout=asyncio.subprocess.PIPE,
    )
    text = (await process.communicate())[0].decode()
    assert process.returncode == 0
    assert "SPINE_" in text
    if program == "spine_operator":
        names = {one.name for one in fields(Settings)} - {"seat_addresses"}
        assert all(PREFIX + name.upper() in text for name in names)


async def test_without_a_way_to_kubernetes_the_start_ends_with_a_reason() -> None:
    names = {f"{PREFIX}IDENTITY": "me", f"{PREFIX}NAMESPACE": "ops"}
    ports = dict(zip(("HEALTH_PORT", "METRICS_PORT"), map(str, free_ports(2)), strict=True))
    process = await asyncio.create_subprocess_exec(
        *as_nobody(sys.executable, "-m", "spine_operator"),
        env={"PATH": os.environ["PATH"], **names, **{PREFIX + k: v for k, v in ports.items()}},
        stderr=asyncio.subprocess.PIPE,
    )
    text = (await process.communicate())[1].decode()
    assert process.returncode == 2, text
    assert "KUBECONFIG" in text
    assert "Traceback" not in text
