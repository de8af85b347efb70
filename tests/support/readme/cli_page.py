"""docs/reference/cli.md, made from the commands. `PYTHONPATH=tests/support python -m readme.cli_page` writes it."""

import inspect
import types
from collections.abc import Callable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from typer import Typer
from typer.models import ArgumentInfo, OptionInfo

from readme.blocks import REPOSITORY
from spine_cli.main import app

FILE = REPOSITORY / "docs" / "reference" / "cli.md"

INTRODUCTION = """\
# Command line

Made from the commands by `tests/support/readme/cli_page.py`; a test holds it equal. Results go to stdout, all else to
stderr. `--url`, `--namespace` and the key may stand in the environment: [settings](settings.md).

| exit code | meaning |
|---|---|
| 0 | ok |
| 1 | failed |
| 2 | usage or configuration |
| 3 | not found |
| 4 | conflict |
| 5 | refused |
| 6 | unavailable: nothing was applied |
| 7 | a write that may have been applied |
"""


def cli_page() -> str:
    """Return the whole page."""
    return "\n".join(
        [INTRODUCTION, *(part for path, run in _commands() for part in _part(path, run))]
    )


def _commands(
    tree: Typer = app, prefix: str = "spine"
) -> Iterator[tuple[str, Callable[..., None]]]:
    """Yield every command with its words, in the order of the help page."""
    for command in tree.registered_commands:
        assert command.callback is not None, "a command runs something"
        yield f"{prefix} {command.name or command.callback.__name__}", command.callback
    for group in tree.registered_groups:
        assert group.typer_instance is not None, "a group has commands"
        yield from _commands(group.typer_instance, f"{prefix} {group.name}")


def _part(path: str, run: Callable[..., None]) -> Iterator[str]:
    yield f"## {path}\n"
    yield f"{inspect.getdoc(run)}\n"
    rows = list(_rows(run))
    if rows:
        yield from ("| | |", "|---|---|", *rows, "")


def _rows(run: Callable[..., None]) -> Iterator[str]:
    hints = get_type_hints(run, include_extras=True)
    for name, parameter in inspect.signature(run).parameters.items():
        kind, *declared = get_args(hints[name]) if name != "ctx" else (None,)
        info = next((one for one in declared if isinstance(one, OptionInfo | ArgumentInfo)), None)
        if info is not None:
            shown = _option(name, kind, info)
            yield f"| `{shown}` | {_meaning(info, parameter.default)} |"


def _option(name: str, kind: Any, info: OptionInfo | ArgumentInfo) -> str:
    if isinstance(info, ArgumentInfo):
        return info.metavar or name.upper()
    given = [info.default, *(info.param_decls or ())]  # in an annotation a name is the default
    names = [one for one in given if isinstance(one, str)] or [f"--{name.replace('_', '-')}"]
    return ", ".join(names) + ("" if kind is bool else f" {_value(kind)}")


def _value(kind: Any) -> str:
    """Say what an option takes: its choices, or the type's name."""
    if get_origin(kind) in (Union, types.UnionType, list):
        [inner] = (one for one in get_args(kind) if one is not type(None))
        return _value(inner)
    if get_origin(kind) is Literal:
        return "\\|".join(get_args(kind))
    if issubclass(kind, StrEnum):
        return "\\|".join(kind)
    return {int: "N", float: "S", str: "TEXT", Path: "PATH"}[kind]


def _meaning(info: OptionInfo | ArgumentInfo, default: Any) -> str:
    said = " ".join((info.help or "").split())
    if default is inspect.Parameter.empty:
        return f"{said} Needed.".strip()
    if isinstance(default, int | float) and default:
        return f"{said} [default: {default:g}]"
    return f"{said} [default: {default}]" if isinstance(default, str) and default else said


if __name__ == "__main__":
    FILE.write_text(cli_page(), encoding="utf-8")
