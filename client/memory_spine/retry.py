"""When and where to try again. Pure but for its own state: time and chance are arguments.

Sources: "Exponential Backoff And Jitter" (AWS, 2015; full jitter), "The Site Reliability Workbook"
ch. "Handling Overload" (retry budgets), api.md §6.
"""

from collections.abc import Callable, Sequence

from memory_spine.forks import Lock

BACKOFF_FIRST_S = 0.05  # about one round of a quorum write
BACKOFF_MAX_S = 2.0  # nobody waits longer than this without having been told to
AVOID_S = 5.0  # a node that restarts is back by then, or its peers call it down
BUDGET_SHARE = 0.1  # retries may add a tenth to the load, however many requests fail
BUDGET_RESERVE = 100.0  # in-flight requests of a busy client may all fail over once


def backoff_s(failed: int, uniform: Callable[[float, float], float]) -> float:
    """Draw the wait after the `failed`-th attempt, 1 being the first (full jitter)."""
    return uniform(0.0, min(BACKOFF_MAX_S, BACKOFF_FIRST_S * 2.0 ** (failed - 1)))


class RetryBudget:
    """Lets retries be a share of the requests, so that a failing cluster is not buried in them.

    A copy begins with a full reserve.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._credit = BUDGET_RESERVE

    def __reduce__(self) -> tuple[type["RetryBudget"], tuple[()]]:
        return RetryBudget, ()

    def deposit(self) -> None:
        """One request came."""
        if self._credit == BUDGET_RESERVE:  # as nearly always; a retry at this moment came later
            return
        with self._lock:
            self._credit = min(BUDGET_RESERVE, self._credit + BUDGET_SHARE)

    def withdraw(self) -> bool:
        """Whether one more retry is within the budget; it is then spent."""
        with self._lock:
            allowed = self._credit >= 1.0
            self._credit -= allowed
            return allowed


class Endpoints:
    """The base URLs of one cluster, in the order in which they would be tried now.

    One that fails goes to the end and is avoided for a while. With a single URL there is nowhere
    to go, and it is tried again. A copy knows the URLs only: what failed here may work there.
    """

    def __init__(self, urls: Sequence[str]) -> None:
        self._lock = Lock()
        self._urls = tuple(urls)
        self._avoid_until_s = dict.fromkeys(urls, 0.0)  # monotonic

    def __reduce__(self) -> tuple[type["Endpoints"], tuple[tuple[str, ...]]]:
        return Endpoints, (self._urls,)

    def __str__(self) -> str:
        return ",".join(self._urls)

    def pick(self, now_s: float) -> str:
        """Return the first that is not avoided, else the one that is avoided for the shortest time."""
        if len(self._urls) == 1:
            return self._urls[0]
        return min(self._urls, key=lambda url: max(self._avoid_until_s[url], now_s))

    def avoid(self, url: str, now_s: float) -> None:
        """Prefer the others for a while."""
        with self._lock:
            self._avoid_until_s[url] = now_s + AVOID_S
            self._urls = (*(other for other in self._urls if other != url), url)
