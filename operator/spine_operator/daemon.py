"""The daemon of one cluster: runs reconcile passes with back-off until the custom resource is gone.

It knows nothing of Kopf: `leaving` says whether the process is about to end.
"""

import logging
import random
from collections.abc import Callable
from dataclasses import dataclass

from spine_core.errors import SpineError
from spine_operator import clock
from spine_operator.execute import OutdatedError
from spine_operator.liveness import DaemonLiveness
from spine_operator.metrics import Metrics
from spine_operator.naming import ClusterKey
from spine_operator.ports import KubeError, Ports
from spine_operator.reconcile import reconcile
from spine_operator.wake import Wake

logger = logging.getLogger("spine.daemon")

PASS_EVERY_S = 0.2  # at most; a storm of events makes no storm of passes
BACK_OFF_FIRST_S, BACK_OFF_MAX_S = 1.0, 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonContext:
    """What every daemon of this process shares."""

    ports: Ports
    wake: Wake
    liveness: DaemonLiveness
    metrics: Metrics


async def converge(
    key: ClusterKey, uid: str, context: DaemonContext, leaving: Callable[[], bool]
) -> None:
    """Run reconcile passes, never two at once, until this resource is gone or the process ends."""
    failures = 0
    context.liveness.record_pass(key)
    try:
        while not leaving():
            began_s = clock.monotonic_s()
            try:
                result = await reconcile(key, uid, context.ports)
            except SpineError as error:
                failures = 0 if isinstance(error, OutdatedError) else failures + 1
                pause_s = pause_after(failures, error)
                logger.warning("pass_failed", extra={"cluster": str(key), "error": str(error)})
            else:
                failures, pause_s = 0, result.requeue_after_s
                if result.gone:
                    return
                if result.plan is not None and result.status is not None:
                    context.metrics.show(key, result.plan, result.status)
            context.metrics.pass_seconds.observe(clock.monotonic_s() - began_s)
            context.liveness.record_pass(key)
            await clock.sleep(PASS_EVERY_S)
            await context.wake.wait(key, pause_s)
    finally:
        context.liveness.forget(key)
        context.wake.forget(key)
        context.metrics.forget(key)


def pause_after(failures: int, error: SpineError) -> float:
    """Return how long to wait after so many failures in a row, with jitter."""
    if isinstance(error, KubeError) and error.retry_after_s is not None:
        return min(error.retry_after_s, BACK_OFF_MAX_S)
    longest_s: float = min(BACK_OFF_FIRST_S * 2 ** max(failures - 1, 0), BACK_OFF_MAX_S)
    return longest_s * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, guards nothing
