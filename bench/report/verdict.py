"""What became of a gate."""

import msgspec


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a gate."""

    number: str
    what: str
    value: float | None  # None: not measured
    bound: float | None = None
    goal: float | None = None
    at_most: bool = False
    why: str = ""  # it was not measured
    rounds: list[float] = []  # of which `value` is the median

    @property
    def word(self) -> str:
        """Return the verdict as one word."""
        if self.value is None:
            return "not measured"
        if self.bound is None:
            return "report"
        if self._reaches(self.bound):
            return "goal" if self.goal is not None and self._reaches(self.goal) else "met"
        return "MISSED"

    @property
    def cells(self) -> list[str]:
        """Return value, bound, goal and verdict as text, for a terminal or a page."""
        sign = "≤" if self.at_most else "≥"
        limits = [
            "" if limit is None else f"{sign} {limit:,g}" for limit in (self.bound, self.goal)
        ]
        value = self.value
        shown = "" if value is None else f"{value:,.0f}" if value >= 100 else f"{value:.2f}"
        return [shown, *limits, self.word]

    def _reaches(self, limit: float) -> bool:
        assert self.value is not None
        return self.value <= limit if self.at_most else self.value >= limit
