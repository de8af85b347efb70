"""What the demo shows: one line per step with its seconds, and what is going on below it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.status import Status


class Stage:
    """Prints steps. On a terminal the running one turns; elsewhere only ends are printed."""

    def __init__(self) -> None:
        self.console = Console(highlight=False)
        self.began = time.monotonic()
        self._status: Status | None = None
        self._last = self._what = ""

    @contextmanager
    def step(self, what: str) -> Iterator[None]:
        """Show a step while the block runs, and how long it took."""
        began = time.monotonic()
        self._last, self._what = "", what
        with self.console.status(what) as self._status:
            try:
                yield
            except BaseException:
                self.console.print(f"  [red]✗[/red] {what}  [dim]{time.monotonic() - began:.1f} s")
                raise
        self.console.print(f"  [green]✓[/green] {what}  [dim]{time.monotonic() - began:.1f} s")

    def now(self, detail: str, *, passing: bool = False) -> None:
        """Tell what the running step is doing; the same twice is told once.

        What is `passing`, such as a count, is shown on a terminal only.
        """
        if self._status is None or detail == self._last:
            return
        self._last = detail
        if self.console.is_terminal:
            self._status.update(f"{self._what}  [dim]{detail}")
        elif not passing:
            self.console.print(f"      {detail}", style="dim", soft_wrap=True)

    def say(self, line: str) -> None:
        """Print a line of its own."""
        self.console.print(line, soft_wrap=True)  # so that commands can be copied
