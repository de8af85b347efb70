"""The end of the demo: a short table, `build/demo.json`, and how to use a cluster that was kept."""

import json

from rich.table import Table

from demo.stage import Stage
from demo.watch import Resource
from localkube import Cluster
from localkube.api import Json
from localkube.images.project import REPOSITORY
from localkube.tools import bin_dir

FILE = REPOSITORY / "build" / "demo.json"
ROWS = (
    ("acknowledged", "memories acknowledged"),
    ("lost", "lost"),
    ("failed_requests", "requests that failed after the client's retries"),
    ("read_your_writes_reads", "own writes read through another node"),
    ("read_your_writes_misses", "of these, older than the session"),
    ("moved_fraction", "share of the data that moved, 3 → 4"),
    ("moved_fraction_planned", "as the ring had planned"),
    ("slowest_operation_s", "slowest operation, s"),
    ("scale_up_s", "scale up, s"),
    ("kill_recovery_s", "recovery after kill -9, s"),
    ("scale_down_s", "scale down, s"),
    ("setup_s", "set-up, s"),
    ("total_s", "all of it, s"),
)
PROMISES = ("lost", "failed_requests", "read_your_writes_misses")  # all of these must be 0


def conclude(stage: Stage, facts: Json) -> int:
    """Write the file, print the table; 0 when every promise held."""
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(json.dumps(facts, indent=2, sort_keys=True) + "\n")
    table = Table(show_header=False, box=None, padding=(0, 2))
    for name, text in ROWS:
        broken = name in PROMISES and facts[name] != 0
        value = f"{facts[name]:,}"
        table.add_row(text, f"[red]{value}[/red]" if broken else f"[bold]{value}[/bold]")
    stage.say("")
    stage.console.print(table)
    stage.say(f"\n  [dim]{FILE.relative_to(REPOSITORY)}[/dim]")
    broken = [name for name in PROMISES if facts[name] != 0]
    if broken:
        stage.say(f"  [red]broken: {', '.join(broken)}[/red]  {facts['failures'][:3]}")
    return 1 if broken else 0


def say_how_to_use(stage: Stage, cluster: Cluster, resource: Resource) -> None:
    """Say how to reach the cluster that stays up, and how to remove it."""
    address = cluster.service_ip(resource.namespace, resource.name)
    port = cluster.relay(address, 8788)
    client = f"kubectl get secret {resource.name}-client -n {resource.namespace}"
    stage.say(
        f"\n  The cluster stays up. In this shell:\n"
        f"    export PATH={bin_dir()}:$PATH KUBECONFIG={cluster.kubeconfig}\n"
        f"    kubectl get msc -A -o wide\n"
        f"    {client} -o jsonpath='{{.data.ca\\.crt}}' | base64 -d > build/ca.crt\n"
        f"    export SPINE_CA_FILE=build/ca.crt SPINE_URL=https://localhost:{port}\n"
        f"    export SPINE_API_KEY=$({client} -o jsonpath='{{.data.api-key}}' | base64 -d)\n"
        f"    .venv/bin/spine list --namespace demo.chat\n"
        f"  Remove it with:\n"
        f"    make kube-down LAB={cluster.root}"
    )
