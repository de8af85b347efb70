"""The limit of open files, raised at the start: most systems set it low for programs of 1990."""

import logging
import resource
from typing import Final

logger = logging.getLogger("spine.node")

ENOUGH: Final = 1 << 20  # Linux lets no process have more unless it is told to


def raise_descriptor_limit() -> int:
    """Raise the soft limit of open files to the hard one; return the limit that holds then."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = ENOUGH if hard == resource.RLIM_INFINITY else min(hard, ENOUGH)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return ENOUGH if soft == resource.RLIM_INFINITY else soft
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (OSError, ValueError) as error:  # a sandbox may forbid it: the node lives with less
        logger.warning("descriptor_limit_kept", extra={"limit": soft, "reason": str(error)})
        return soft
    return wanted
