"""The operator process: takes the Lease, then runs Kopf until a signal comes or the Lease is lost.

Exit status: 0 after SIGTERM, 1 when the Lease was lost or Kubernetes does not serve our CRD in time, 2 for a
wrong environment.
"""

import asyncio
import logging
import os
import signal
import sys
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from typing import Any, cast

import kopf
from prometheus_client import start_http_server

from spine_core.errors import InvalidInputError
from spine_operator import clock
from spine_operator.daemon import DaemonContext
from spine_operator.handlers import build_registry, kopf_settings
from spine_operator.kube import Kube, load_configuration
from spine_operator.lease import RENEW_EVERY_S, Lease, LeaseLostError
from spine_operator.liveness import DaemonLiveness, serve_health
from spine_operator.logs import set_up
from spine_operator.metrics import Metrics
from spine_operator.node_admin import NodeAdmin
from spine_operator.ports import Kind, KubeError, Ports
from spine_operator.settings import Settings, read_settings, usage
from spine_operator.startup import await_served
from spine_operator.wake import Wake

logger = logging.getLogger("spine.operator")


def main() -> int:
    """Run the operator; return the exit status."""
    ArgumentParser(
        prog="python3 -m spine_operator",
        description="Runs the operator of Memory Spine on Kubernetes, configured by the environment.",
        epilog=usage(),
        formatter_class=RawDescriptionHelpFormatter,
    ).parse_args()
    try:
        settings = read_settings(os.environ)
        set_up(settings.log_level)
        asyncio.run(_run(settings))
    except InvalidInputError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except LeaseLostError:
        logger.error("lease_lost")
        return 1
    except KubeError as error:
        logger.error("kubernetes_unusable", extra={"error": str(error)})
        return 1
    return 0


async def _run(settings: Settings) -> None:
    metrics = Metrics()
    start_http_server(settings.metrics_port, registry=metrics.registry)
    configuration = await load_configuration()

    def count_write(kind: str, verb: str) -> None:
        metrics.kube_writes.labels(kind, verb).inc()

    def count_call(result: str) -> None:
        metrics.admin_calls.labels(result).inc()

    async with Kube(configuration, count_write) as kube, NodeAdmin(count_call) as nodes:
        lease = Lease(
            kube,
            namespace=settings.namespace,
            name=settings.lease_name,
            identity=settings.identity,
            monotonic_s=clock.monotonic_s,
            now_ms=clock.now_ms,
        )
        ports = Ports(
            kube=kube,
            nodes=nodes,
            now_ms=clock.now_ms,
            entropy=os.urandom,
            lease_held=lease.held,
            address_of=settings.seat_addresses.get,
            node_image=settings.node_image,
        )
        liveness = DaemonLiveness(clock.monotonic_s)
        context = DaemonContext(ports=ports, wake=Wake(), liveness=liveness, metrics=metrics)
        await _lead(settings, lease, kube, context)


async def _lead(settings: Settings, lease: Lease, kube: Kube, context: DaemonContext) -> None:
    """Stand by until we hold the Lease, then work for as long as we hold it."""
    leading, stop = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)

    def problem() -> str | None:
        if leading.is_set() and not lease.held():
            return "the Lease is stale"
        overdue = ", ".join(map(str, context.liveness.overdue()))
        return f"no reconcile pass has ended in time: {overdue}" if overdue else None

    server = await serve_health(settings.health_port, problem)
    try:
        while not await lease.renew():
            if await _stopped_within(stop, RENEW_EVERY_S):
                return
        if not await _resource_is_served(settings, lease, kube, stop):
            return
        leading.set()
        context.metrics.lease_held.set(1)
        logger.info("leading", extra={"identity": settings.identity})
        await _work(settings, lease, context, stop)
    finally:
        server.close()


async def _resource_is_served(
    settings: Settings, lease: Lease, kube: Kube, stop: asyncio.Event
) -> bool:
    """Wait until Kopf can watch our custom resource; False when asked to stop meanwhile."""
    namespace = next(iter(settings.namespaces), settings.namespace)  # one that we may read

    async def check() -> None:
        await kube.check_served(Kind.CLUSTER, namespace)

    async def pause(seconds: float) -> bool:
        stopped = await _stopped_within(stop, seconds)
        await _keep(lease)
        return stopped

    return await await_served(check, pause, monotonic_s=clock.monotonic_s)


async def _keep(lease: Lease) -> None:
    if not await lease.renew() and not lease.held():
        raise LeaseLostError("the Lease was not renewed in time")


async def _work(
    settings: Settings, lease: Lease, context: DaemonContext, stop: asyncio.Event
) -> None:
    """Run Kopf and renew the Lease beside it; whichever ends first ends the other."""
    kopf_stop = asyncio.Event()
    operator = asyncio.create_task(
        kopf.operator(
            registry=build_registry(context),
            settings=kopf_settings(scan=settings.scan),
            identity=cast("Any", settings.identity),  # else Kopf asks for the account of our uid
            standalone=True,
            clusterwide=not settings.namespaces,
            namespaces=settings.namespaces,
            stop_flag=kopf_stop,
        )
    )
    operator.add_done_callback(lambda _: stop.set())
    try:
        while not await _stopped_within(stop, RENEW_EVERY_S):
            await _keep(lease)
    finally:
        kopf_stop.set()
        context.wake.notify_all()
        await operator
        await lease.release()


async def _stopped_within(stop: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            return await stop.wait()
    except TimeoutError:
        return False


if __name__ == "__main__":
    sys.exit(main())
