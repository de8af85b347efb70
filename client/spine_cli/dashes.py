"""A command whose text may begin with a dash, as the lines of a list do: `spine store "- buy milk"`."""

import re
from typing import Any

from typer.core import TyperCommand

_MARK = "\0"  # before such a text while options are told apart; no argument of a process holds it


class TextCommand(TyperCommand):
    """A command that takes an argument of several words for text, even if it begins with a dash.

    The parser would take it for options, and complain of `- `. Names of options hold no white space, so
    nothing is guessed: `--tag=two words` and `-t two` stay options, and after `--` all is text anyway.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Hide the dash of texts from the parser."""
        end = args.index("--") if "--" in args else len(args)
        marked = [f"{_MARK}{arg}" if self._is_text(arg) else arg for arg in args[:end]]
        rest: list[str] = super().parse_args(ctx, [*marked, *args[end:]])
        ctx.params.update({name: _unmarked(value) for name, value in ctx.params.items()})
        return rest

    def _is_text(self, arg: str) -> bool:
        first, *more = re.split(r"\s", arg, maxsplit=1)
        if not more or not arg.startswith("-"):
            return False
        if first.startswith("--"):
            return "=" not in first
        return first[:2] not in self._with_value()

    def _with_value(self) -> set[str]:
        """Return the short options whose value may follow without a space."""
        return {
            name
            for parameter in self.params
            if not getattr(parameter, "is_flag", False)
            for name in parameter.opts
            if len(name) == 2
        }


def _unmarked(value: Any) -> Any:
    if isinstance(value, str):
        return value.removeprefix(_MARK)
    if isinstance(value, list | tuple):
        return type(value)(_unmarked(item) for item in value)
    return value
