"""The composition root of a node: settings in, a serving node out, an exit code at the end.

Exit codes: 0 stopped as asked, 1 failed while running, 2 cannot start as configured.
"""

import argparse
import asyncio
import contextlib
import errno
import faulthandler
import gc
import logging
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path

import uvloop

from spine_core.errors import InvalidInputError
from spine_core.records.hlc import HybridClock
from spine_node.addresses import host_and_port
from spine_node.clock import Clock
from spine_node.descriptors import raise_descriptor_limit
from spine_node.engine.node import Node, NodeEnvironment
from spine_node.http.app import App
from spine_node.http.audit import LOGGER, AuditLog
from spine_node.http.auth import Credentials
from spine_node.http.bodies import merge_patch
from spine_node.http.connection_limit import ConnectionLimit, maximum_of
from spine_node.http.origin_guard import guard_needed
from spine_node.http.request_context import AppContext
from spine_node.http.router import Router
from spine_node.http.routes import routes
from spine_node.http.server import HttpServer, serve
from spine_node.in_flight import InFlight
from spine_node.logs import LineHandler, configure_logging
from spine_node.metrics import Metrics
from spine_node.modes import Setup, set_up
from spine_node.readiness import Announce, Readiness
from spine_node.settings import HELP, Settings
from spine_node.startup import bootstrap_cluster, check_owner
from spine_node.store import StorageError, StoreLockedError, open_store

logger = logging.getLogger("spine.node")

SWITCH_S = 0.001  # a busy loop must hand the GIL to the store's writer: 5 ms starves it
_DOCUMENT_FROM = {
    "single": "this node itself",
    "static": "the first node of the cluster file",
    "managed": "the operator",
}
GARBAGE_EVERY = 20_000  # new objects: Python's 700 spent a tenth of a busy node on looking


def run(settings: Settings, announce: Announce) -> int:
    """Serve until SIGTERM or SIGINT; `announce` is told where, once it serves, and before that why not."""
    log = configure_logging(settings.log_level)
    faulthandler.enable()  # a data file cut off while it is mapped ends us by SIGBUS: say where
    sys.setswitchinterval(SWITCH_S)
    gc.set_threshold(GARBAGE_EVERY, *gc.get_threshold()[1:])
    try:
        return uvloop.run(_serve(settings, announce, log))
    except (InvalidInputError, StorageError, OSError) as error:
        print(f"spine: {_reason(error)}", file=sys.stderr)  # noqa: T201 - for a person
        return 2


def _reason(error: Exception) -> str:
    """Say why the node cannot start, without error numbers and with the cure where it is known."""
    if isinstance(error, StoreLockedError):
        return f"{error}: stop that, or give --data"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error)


async def _serve(settings: Settings, announce: Announce, log: LineHandler) -> int:
    descriptors = raise_descriptor_limit()
    setup = set_up(settings)
    clock, hlc = Clock(), HybridClock()
    metrics, in_flight = Metrics(), InFlight()
    credentials = Credentials(setup.keys, on_refusal=metrics.credentials_errors.inc)
    local_only = guard_needed(
        setup.host, keys=credentials.needed, open_to_all=settings.auth == "none"
    )
    store = open_store(
        settings.data, clock=hlc, physical_ms=clock.physical_ms, quota_bytes=settings.quota_bytes
    )
    environment = NodeEnvironment(
        store=store,
        hlc=hlc,
        clock=clock,
        merge_patch=merge_patch,
        metrics=metrics,
        in_flight=in_flight,
        refreshers=(credentials.refresh,),
    )
    node = Node(setup.options, environment)
    closed = metrics.connections_closed.labels
    limit = ConnectionLimit(maximum_of(descriptors), clock.now, lambda reason: closed(reason).inc())
    audited = logging.getLogger(LOGGER).isEnabledFor(logging.INFO)
    audit_line = log.queue if audited else None
    context = AppContext(
        engine=node.engine,
        operations=node.operations,
        credentials=credentials,
        admin_tokens=setup.options.secrets.admin_tokens,
        session_keys=partial(setup.options.secrets.keys, "session"),
        clock=clock,
        epoch=lambda: node.membership.epoch,
        measure=metrics.answered,
        node=setup.options.seat,
        audit=AuditLog(setup.options.seat, audit_line, clock.physical_ms),
        shortage=limit.shortage,
        in_flight=in_flight,
        local_only=local_only,
    )
    app = App(context, Router(routes(setup.options.version)))
    try:
        if settings.mode != "managed":  # there the operator compares seat and store
            check_owner(node.membership.view, setup.options.seat, settings.data)
        server = await _listen(setup, node, app, limit)
    except (InvalidInputError, OSError):
        await node.close()
        raise
    gc.freeze()  # what start-up made lives as long as the process
    scheme = "https" if setup.options.tls else "http"
    url = f"{scheme}://{host_and_port(setup.host, server.port)}"
    readiness = Readiness(
        clock,
        node.operations.ready,
        lambda: node.membership.view is not None,
        _DOCUMENT_FROM[settings.mode],
    )
    background = _background(setup, node, readiness, partial(announce, url, settings.data))
    return await _until_stopped(setup, node, server, background)


async def _listen(setup: Setup, node: Node, app: App, limit: ConnectionLimit) -> HttpServer:
    tls = setup.options.tls
    try:
        return await serve(
            app,
            node.links.handle,
            address=(setup.host, setup.port),
            limit=limit,
            tls=tls.server if tls else None,
        )
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            address = host_and_port(setup.host, setup.port)
            taken = f"{address} is taken: stop what listens there, or give --port"
            raise InvalidInputError(taken) from error
        raise


async def _until_stopped(
    setup: Setup, node: Node, server: HttpServer, background: Coroutine[None, None, None]
) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    running = asyncio.create_task(background)
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
    failed = running.done()
    if failed:
        logger.error("node_failed", exc_info=running.exception())
    else:
        node.health.stopping = True  # readiness off; load balancers need a moment to notice
        await node.clock.sleep(setup.shutdown_s)
    stopping.cancel()
    running.cancel()
    await node.links.close()
    await server.close()
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.gather(running, return_exceptions=True)
    await node.close()
    logger.info("node_stopped", extra={"seat": setup.options.seat})
    return 1 if failed else 0


async def _background(
    setup: Setup, node: Node, readiness: Readiness, say: Callable[[str | None], None]
) -> None:
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(node.run())
        tasks.create_task(readiness.announce(say))
        if setup.bootstrap is not None:
            tell = readiness.waits_for_nodes
            tasks.create_task(bootstrap_cluster(node, *setup.bootstrap, tell))


def main() -> int:
    """Run the node that the environment describes: the entry point of the image."""
    options = argparse.ArgumentParser(
        prog="spine_node",
        description="Run one node of Memory Spine. The environment says which:",
        epilog=HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    options.parse_args()  # there are none but --help, which needs no settings
    try:
        settings = Settings.load({}, os.environ)
    except InvalidInputError as error:
        print(f"spine: {error}", file=sys.stderr)  # noqa: T201 - the reason a person needs
        return 2
    return run(settings, announce=_log_address)


def _log_address(url: str, data: Path, unready: str | None) -> None:
    if unready is None:
        logger.info("node_serves", extra={"url": url, "data": str(data)})
    else:
        logger.info("node_not_ready", extra={"url": url, "reason": unready})


if __name__ == "__main__":
    sys.exit(main())
