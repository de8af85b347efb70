"""Waits at the start until Kubernetes serves our custom resource.

A definition that was installed a moment ago is not served yet. The API server answers 404 until it is
established, then 429 with `Retry-After` while its storage starts, and lists it among the API groups a
little later still; Kopf looks at that list once and would never watch what is missing there. A control
plane that starts beside us answers 503, or not at all. All of these pass within seconds, so the process
waits for them, and ends only when they last: then something else is wrong, and the kubelet's restarts
show it. Source: apiextensions-apiserver `customresource_handler.go`; kopf `scan_resources`.
"""

import logging
from collections.abc import Awaitable, Callable

from spine_operator.ports import KubeError

logger = logging.getLogger("spine.startup")

PATIENCE_S = 60.0
RETRY_FIRST_S, RETRY_MAX_S = 0.5, 2.0
RETRY_AFTER_MAX_S = 5.0  # the Lease is renewed after each pause, and must not run out


async def await_served(
    check: Callable[[], Awaitable[None]],
    pause: Callable[[float], Awaitable[bool]],
    *,
    monotonic_s: Callable[[], float],
) -> bool:
    """Return once `check` passes; `pause` waits and says whether to give up, which returns False.

    Raises:
        KubeError: `check` has failed for `PATIENCE_S`.
    """
    ends_s, delay_s = monotonic_s() + PATIENCE_S, RETRY_FIRST_S
    while True:
        try:
            await check()
        except KubeError as error:
            if monotonic_s() >= ends_s:
                raise
            wait_s = max(delay_s, min(error.retry_after_s or 0.0, RETRY_AFTER_MAX_S))
            logger.warning("not_served_yet", extra={"error": str(error), "retry_s": wait_s})
        else:
            return True
        if await pause(wait_s):
            return False
        delay_s = min(delay_s * 2, RETRY_MAX_S)
