"""Results on stdout: tables for people, JSON for programs. Rich is loaded for tables only."""

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
Row: TypeAlias = Mapping[str, Any]

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


def show_record(facts: Row, output: Format | None, *, table: str = "") -> None:
    """Print facts; for people, the list of rows in the fact `table` becomes a table below them."""
    if (output or _default()) != "table":
        _print_json(facts)
        return
    show_facts({name: fact for name, fact in facts.items() if name != table and fact})
    if table:
        rows = facts[table]
        used = [name for name in rows[0] if any(row[name] is not None for row in rows)]
        _show_rows({name: row[name] for name in used} for row in rows)


def show_facts(facts: Row) -> None:
    """Print one fact a line."""
    from rich.table import Table  # noqa: PLC0415 - only for tables

    table = Table(box=None, show_header=False, pad_edge=False)
    for name, fact in facts.items():
        table.add_row(name, _cell(fact))
    _print_table(table)


def _show_rows(rows: Iterable[Row]) -> None:
    from rich.table import Table  # noqa: PLC0415 - only for tables

    table = Table(box=None, pad_edge=False)
    for number, row in enumerate(rows):
        if number == 0:
            for name in row:
                table.add_column(name.upper().replace("_", " "), overflow="fold")
        table.add_row(*map(_cell, row.values()))
    _print_table(table)


def _print_table(table: Any) -> None:
    from rich.console import Console  # noqa: PLC0415 - only for tables

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
        "importance": memory.importance,
        "updated": f"{memory.updated_at:%Y-%m-%d %H:%M:%S}",
    }


def _cell(fact: Any) -> Any:
    """Return a cell as plain text, whatever markup it may seem to hold."""
    from rich.text import Text  # noqa: PLC0415 - only for tables

    if isinstance(fact, str):
        return Text(fact)
    if isinstance(fact, list | tuple) and all(isinstance(item, str) for item in fact):
        return Text(", ".join(fact))
    return Text("" if fact is None else msgspec.json.encode(fact).decode())


def _default() -> Format:
    return "table" if sys.stdout.isatty() else "json"


def _print_json(value: Any) -> None:
    typer.echo(msgspec.json.format(msgspec.json.encode(value), indent=2))


def _print_line(value: Any) -> None:
    typer.echo(msgspec.json.encode(value))
