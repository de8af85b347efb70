"""The entry point of `spine` and the list of its commands, in the order of the help page.

Commands import what is heavy (the node, rich, HTTP) when they run, so `spine -h` stays quick.
"""

from spine_cli.app import app
from spine_cli.cluster import cluster_app, whoami
from spine_cli.dashes import TextCommand
from spine_cli.keys import key_app
from spine_cli.leases import lease_app
from spine_cli.memories import forget, get, list_memories, store, touch, update
from spine_cli.serve import serve
from spine_cli.topology import topology_app
from spine_cli.watch import watch

__all__ = ["app", "main"]

app.command()(serve)
app.command(cls=TextCommand)(store)
app.command(cls=TextCommand)(update)
app.command()(get)
app.command("list")(list_memories)
app.command()(touch)
app.command()(forget)
app.command()(watch)
app.command()(whoami)
app.add_typer(lease_app, name="lease")
app.add_typer(cluster_app, name="cluster")
app.add_typer(topology_app, name="topology")
app.add_typer(key_app, name="key")


def main() -> None:
    """Run the command line of this process."""
    app()
