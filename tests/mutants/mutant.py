"""A mutant: one rule removed from the source, and the test that must fail without it."""

import ast
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """Replace `old` by `new`, once, in `file`; then the test `killed_by` must fail."""

    file: str  # path from the top of the repository
    within: str = ""  # class or function that `old` stands in, as in `WriteTally.verdict`
    old: str  # source text that occurs exactly once in `file`, or in `within`
    new: str
    killed_by: str  # pytest node id

    def places(self, source: str) -> int:
        """Return how often `old` occurs where it should occur once."""
        begin, end = span(source, self.within)
        return source[begin:end].count(self.old)

    def applied(self, source: str) -> str:
        """Return the source without the rule."""
        begin, end = span(source, self.within)
        return source[:begin] + source[begin:end].replace(self.old, self.new) + source[end:]


def span(source: str, qualified: str) -> tuple[int, int]:
    """Return where a definition begins and ends, decorators included; "" names the whole file.

    Raises:
        LookupError: nothing, or more than one thing, has this name.
    """
    if not qualified:
        return 0, len(source)
    inside: list[ast.AST] = [ast.parse(source)]
    for name in qualified.split("."):
        inside = [
            node
            for parent in inside
            for node in ast.iter_child_nodes(parent)
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
            and node.name == name
        ]
    if len(inside) != 1:
        raise LookupError(f"{len(inside)} definitions are called {qualified}")
    [found] = inside
    assert isinstance(found, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
    lines = source.splitlines(keepends=True)
    first = min(node.lineno for node in (found, *found.decorator_list)) - 1
    return sum(map(len, lines[:first])), sum(map(len, lines[: found.end_lineno]))
