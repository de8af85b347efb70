"""A moment as text: RFC 3339 in UTC, one spelling for the API, the logs and the status."""

from datetime import UTC, datetime
from functools import lru_cache


def rfc3339(ms: int) -> str:
    """Write milliseconds since 1970 as RFC 3339 in UTC with milliseconds."""
    return f"{_second(ms // 1000)}.{ms % 1000:03d}Z"


@lru_cache(maxsize=4096)  # many records and log lines of the same seconds
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
