"""Results on stdout: tables for people, JSON for programs. Rich is loaded for tables only."""

import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

import msgspec
import typer

if TYPE_CHECKING:
    from memory_spine import Memory

Format: TypeAlias = Literal["table", "json", "ndjson", "id"]
Output: TypeAlias = Annotated[
    Format | None,
    typer.Option("--output", "-o", help="table on a terminal, else json; ndjson and id for pipes."),
]
FactsFormat: TypeAlias = Literal["table", "json"]
FactsOutput: TypeAlias = Annotated[
    FactsFormat | None, typer.Option("--output", "-o", help="table on a terminal, else json.")
]
Row: TypeAlias = Mapping[str, Any]

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # a memory must not drive the terminal
_CONTENT_SHOWN = 72  # characters of a memory in a table; the rest is in json


def show_memory(memory: "Memory", output: Format | None) -> None:
    """Print one memory."""
    facts = memory.to_dict()
    match output or _default():
        case "table":
            show_facts(facts)
        case "json":
            _print_json(facts)
        case "ndjson":
            _print_line(facts)
        case "id":
            typer.echo(memory.id)


def show_memories(memories: Sequence["Memory"], output: Format | None) -> None:
    """Print several memories."""
    match output or _default():
        case "table":
            _show_rows(_summary(memory) for memory in memories)
        case "json":
            _print_json([memory.to_dict() for memory in memories])
        case "ndjson":
            for memory in memories:
                _print_line(memory.to_dict())
        case "id":
            for memory in memories:
                typer.echo(memory.id)


def show_record(facts: Row, output: FactsFormat | None, *, table: str = "") -> None:
    """Print facts; for people, the list of rows in the fact `table` becomes a table below them."""
    if (output or _default()) == "json":
        _print_json(facts)
        return
    show_facts({name: fact for name, fact in facts.items() if name != table and fact})
    if rows := facts.get(table):
        used = [name for name in rows[0] if any(row[name] is not None for row in rows)]
        _show_rows({name: row[name] for name in used} for row in rows)


def show_rows(rows: Sequence[Row], output: FactsFormat | None) -> None:
    """Print one row a line for people, a list for programs."""
    if (output or _default()) == "json":
        _print_json(rows)
    else:
        _show_rows(rows)


def show_line(facts: Row) -> None:
    """Print one JSON object on a line of its own, at once."""
    _print_line(facts)


def show_facts(facts: Row) -> None:
    """Print one fact a line, whole: a key or an entry is there to be copied."""
    width = max(map(len, facts), default=0)
    for name, fact in facts.items():
        typer.echo(f"{name:<{width}}  {_text(fact)}".rstrip())


def _show_rows(rows: Iterable[Row]) -> None:
    """Print one row a line; what is too long for the terminal is cut, but never the first column."""
    from rich.console import Console  # noqa: PLC0415 - only for tables
    from rich.table import Table  # noqa: PLC0415 - as above
    from rich.text import Text  # noqa: PLC0415 - as above

    table = Table(box=None, pad_edge=False)
    for number, row in enumerate(rows):
        if number == 0:
            for column, name in enumerate(row):
                table.add_column(name.upper().replace("_", " "), no_wrap=column == 0)
        table.add_row(
            *(Text(_text(fact), no_wrap=True, overflow="ellipsis") for fact in row.values())
        )
    if table.rows:
        Console(highlight=False, markup=False).print(table)


def _summary(memory: "Memory") -> Row:
    text = memory.content or msgspec.json.encode(memory.metadata).decode()
    flat = " ".join(text.split())
    short = flat if len(flat) <= _CONTENT_SHOWN else f"{flat[: _CONTENT_SHOWN - 1]}…"
    return {
        "id": memory.id,
        "content": short,
        "tags": memory.tags,
        "agent": memory.agent_id,
        "updated": f"{memory.updated_at:%Y-%m-%d %H:%M}",
    }


def _text(fact: Any) -> str:
    """Return a fact as plain text, without what a terminal would obey."""
    if isinstance(fact, list | tuple) and all(isinstance(item, str) for item in fact):
        return ", ".join(fact)
    if fact is None or isinstance(fact, str):
        return _CONTROL.sub("\ufffd", fact or "")
    return msgspec.json.encode(fact).decode()


def _default() -> FactsFormat:
    return "table" if sys.stdout.isatty() else "json"


def _print_json(value: Any) -> None:
    typer.echo(msgspec.json.format(msgspec.json.encode(value), indent=2))


def _print_line(value: Any) -> None:
    typer.echo(msgspec.json.encode(value))
