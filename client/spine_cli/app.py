"""The root of the command: one place that turns failures into messages and exit codes."""

from importlib.metadata import version
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from memory_spine.errors import SpineError
from spine_cli.exits import Exit, exit_of, hint_of
from spine_cli.runtime import Runtime
from spine_core.errors import InvalidInputError

NODE_MODULES = (
    "aiohttp",
    "lmdb",
    "prometheus_client",
    "sortedcontainers",
    "uvloop",
    "xxhash",
    "yaml",
)


class SpineGroup(TyperGroup):
    """A group whose commands may raise our errors."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command; a failure becomes a message on stderr and an exit code."""
        try:
            return super().invoke(ctx)
        except SpineError as error:
            _complain(str(error), hint_of(error))
            raise typer.Exit(exit_of(error)) from error
        except InvalidInputError as error:
            _complain(str(error))
            raise typer.Exit(Exit.USAGE) from error
        except (UnicodeDecodeError, UnicodeEncodeError) as error:
            _complain(f"a text that is not UTF-8: {error.reason}")
            raise typer.Exit(Exit.USAGE) from error
        except ModuleNotFoundError as error:
            if error.name not in NODE_MODULES:
                raise
            _complain(f"{error.name} is not installed", 'pip install "memory-spine[node]"')
            raise typer.Exit(Exit.USAGE) from error


app = typer.Typer(
    cls=SpineGroup,
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"spine {version('memory-spine')}")
        raise typer.Exit


@app.callback()
def root(
    ctx: typer.Context,
    _version: Annotated[
        bool,
        typer.Option(
            "--version", help="Show the version and exit.", callback=_show_version, is_eager=True
        ),
    ] = False,
) -> None:
    """Memory Spine: replicated shared memory for fleets of AI agents.

    Start with `spine serve`, then `spine -h` in another terminal.

    Exit codes: 0 ok, 1 failed, 2 usage or configuration, 3 not found, 4 conflict, 5 refused,
    6 unavailable, 7 a write that may have been applied.
    """
    ctx.obj = ctx.obj or Runtime()


def say(message: str) -> None:
    """Tell a person something; results go to stdout, all else to stderr."""
    typer.echo(message, err=True)


def _complain(message: str, hint: str | None = None) -> None:
    say(f"spine: {message}")
    if hint is not None:
        say(f"  try: {hint}")
