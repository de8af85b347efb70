"""The command line: `python -m localkube ...`, with this package's parent on PYTHONPATH.

up DIR [--zones a,b,c] [--nodes-per-zone 1] [--image FILE ...] [--detach]
                              run a cluster until SIGTERM; detached, until `down`
down DIR                      end it; nothing is left but DIR/logs
status DIR                    its nodes, their switches, its kubeconfig
exec DIR -- CMD ...           run CMD inside the hub's network, with kubectl and KUBECONFIG
power DIR NODE on|off         boot a node or cut its power
cable DIR NODE on|off         plug in or pull its cable
relay DIR HOST:PORT [PORT]    open a loopback port out here that leads to an address inside
images DIR                    build the node's and the operator's image into DIR
"""

import argparse
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

from localkube import keeper
from localkube.cluster import Cluster, start_keeper
from localkube.errors import LocalKubeError
from localkube.images import build_images
from localkube.plan import ClusterPlan


def up(arguments: argparse.Namespace) -> None:
    """Run a cluster."""
    plan = ClusterPlan.make(arguments.dir, arguments.zones.split(","), arguments.nodes_per_zone)
    if arguments.detach:
        start_keeper(plan, arguments.image, detach=True)
        say(json.dumps(Cluster(plan.root).facts()))
    else:
        keeper.keep(plan, arguments.image)


def down(arguments: argparse.Namespace) -> None:
    """End a cluster."""
    keeper.end(arguments.dir)


def status(arguments: argparse.Namespace) -> None:
    """Show the nodes and how to reach the API server."""
    cluster = Cluster(arguments.dir)
    for name, facts in cluster.status().items():
        power = "on" if facts["power"] else "off"
        cable = "on" if facts["cable"] else "off"
        say(f"{name:24} zone {facts['zone']:16} power {power:4} cable {cable}")
    say(f"export KUBECONFIG={cluster.kubeconfig}")


def execute(arguments: argparse.Namespace) -> None:
    """Become a command inside the hub's network; only the first `--` is ours."""
    words = arguments.command[arguments.command[:1] == ["--"] :]
    argv = Cluster(arguments.dir).enter(words)
    os.execvp(argv[0], argv)


def power(arguments: argparse.Namespace) -> None:
    """Switch a node on or off."""
    switch = Cluster(arguments.dir).node(arguments.node)
    switch.power_on() if arguments.state == "on" else switch.power_off()


def cable(arguments: argparse.Namespace) -> None:
    """Plug in or pull a cable."""
    Cluster(arguments.dir).node(arguments.node).cable(on=arguments.state == "on")


def relay(arguments: argparse.Namespace) -> None:
    """Open a port out here and say which."""
    host, port = arguments.target.rsplit(":", 1)
    outside_port = Cluster(arguments.dir).relay(host, int(port), outside_port=arguments.port)
    say(f"127.0.0.1:{outside_port}")


def images(arguments: argparse.Namespace) -> None:
    """Build the images and say where they are."""
    for name, archive in build_images(arguments.dir).items():
        say(f"{name:10} {archive}")


def say(line: str) -> None:
    """Print a line for whoever called."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def parser() -> argparse.ArgumentParser:
    """Return the reader of the command line."""
    top = argparse.ArgumentParser(
        prog="localkube", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, do: Callable[[argparse.Namespace], None]) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=do.__doc__)
        made.add_argument("dir", type=lambda text: Path(text).absolute())
        made.set_defaults(do=do)
        return made

    starting = command("up", up)
    starting.add_argument("--zones", default="a,b,c")
    starting.add_argument("--nodes-per-zone", type=int, default=1)
    starting.add_argument("--image", type=Path, action="append", default=[])
    starting.add_argument("--detach", action="store_true")
    command("down", down)
    command("status", status)
    command("images", images)
    command("exec", execute).add_argument("command", nargs=argparse.REMAINDER)
    for name, do in (("power", power), ("cable", cable)):
        switching = command(name, do)
        switching.add_argument("node")
        switching.add_argument("state", choices=["on", "off"])
    relaying = command("relay", relay)
    relaying.add_argument("target", metavar="HOST:PORT")
    relaying.add_argument("port", type=int, nargs="?", default=0)
    return top


def main() -> int:
    """Do what the command line says; an error is one message on standard error."""
    arguments = parser().parse_args()
    try:
        arguments.do(arguments)
    except (LocalKubeError, ValueError) as error:
        sys.stderr.write(f"localkube: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
