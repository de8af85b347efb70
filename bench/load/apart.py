"""A load generator in a process of its own: it gets its task as an argument and prints its report."""

import subprocess
import sys
from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec
import uvloop

ReportT = TypeVar("ReportT", bound=msgspec.Struct)
TaskT = TypeVar("TaskT", bound=msgspec.Struct)


def run_apart(module: str, task: msgspec.Struct, report: type[ReportT]) -> ReportT:
    """Run `python -m module` and return what it reports."""
    command = (sys.executable, "-m", module, msgspec.json.encode(task).decode())
    done = subprocess.run(command, capture_output=True, check=True)
    return msgspec.json.decode(done.stdout, type=report)


def report_task(task: type[TaskT], run: Callable[[TaskT], Awaitable[msgspec.Struct]]) -> None:
    """Be that process: do the task and print the report."""

    async def reported() -> msgspec.Struct:
        return await run(msgspec.json.decode(sys.argv[1], type=task))

    sys.stdout.write(msgspec.json.encode(uvloop.run(reported())).decode())
