"""Runs a command against a scripted server."""

from typer.testing import CliRunner, Result

from spine_cli.environment import Environment
from spine_cli.main import app
from spine_cli.runtime import Runtime
from unit.client.scripted_server import ScriptedServer


def spine(
    *arguments: str, server: ScriptedServer | None = None, stdin: str | None = None
) -> Result:
    environment = Environment(unix_ms=lambda: 1_760_000_000_000, entropy=bytes)
    runtime = Runtime(transport=server or ScriptedServer(), environment=environment)
    return CliRunner().invoke(app, list(arguments), input=stdin, obj=runtime)
