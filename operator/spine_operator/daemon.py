"""The life of one cluster's daemon: turns for ever, with back-off, until the cluster is gone.

It knows nothing of Kopf: `leaving` says whether the process is about to end.
"""

import logging
import random
from collections.abc import Callable
from dataclasses import dataclass

from spine_core.errors import SpineError
from spine_operator import clock
from spine_operator.execute import OutdatedError
from spine_operator.liveness import Pulse
from spine_operator.metrics import Metrics
from spine_operator.naming import ClusterKey
from spine_operator.ports import KubeError, Ports
from spine_operator.reconcile import reconcile
from spine_operator.wake import Wake

logger = logging.getLogger("spine.daemon")

TURN_EVERY_S = 0.2  # at most; a storm of events makes no storm of turns
BACK_OFF_FIRST_S, BACK_OFF_MAX_S = 1.0, 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Works:
    """What every daemon of this process shares."""

    ports: Ports
    wake: Wake
    pulse: Pulse
    metrics: Metrics


async def converge(key: ClusterKey, uid: str, works: Works, leaving: Callable[[], bool]) -> None:
    """Take turns until this very resource is gone or the process ends. Never two at once."""
    failures = 0
    works.pulse.beat(key)
    try:
        while not leaving():
            began_s = clock.monotonic_s()
            try:
                outcome = await reconcile(key, uid, works.ports)
            except SpineError as error:
                failures = 0 if isinstance(error, OutdatedError) else failures + 1
                pause_s = pause_after(failures, error)
                logger.warning("turn_failed", extra={"cluster": str(key), "error": str(error)})
            else:
                failures, pause_s = 0, outcome.look_again_s
                if outcome.gone:
                    return
                if outcome.plan is not None and outcome.status is not None:
                    works.metrics.show(key, outcome.plan, outcome.status)
            works.metrics.turn_seconds.observe(clock.monotonic_s() - began_s)
            works.pulse.beat(key)
            await clock.sleep(TURN_EVERY_S)
            await works.wake.wait(key, pause_s)
    finally:
        works.pulse.forget(key)
        works.wake.forget(key)
        works.metrics.forget(key)


def pause_after(failures: int, error: SpineError) -> float:
    """Return how long to wait after so many failures in a row, with jitter."""
    if isinstance(error, KubeError) and error.retry_after_s is not None:
        return min(error.retry_after_s, BACK_OFF_MAX_S)
    longest_s: float = min(BACK_OFF_FIRST_S * 2 ** max(failures - 1, 0), BACK_OFF_MAX_S)
    return longest_s * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, guards nothing
